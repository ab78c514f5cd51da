#include "cli/option_values.h"

#include <CLI/CLI.hpp>
#include <utility>
#include <vector>

#include "common/names.h"
#include "common/strings.h"

namespace apium::cli {
namespace {

[[noreturn]] void Refuse(const std::string& name, const std::string& text,
                         const std::string& what_is_right) {
  throw CLI::ValidationError(
      name, StrCat(QuoteForMessage(text), " is not ", what_is_right));
}

}  // namespace

CLI::Option* AddDuration(CLI::App* app, const std::string& name,
                         std::optional<absl::Duration>* value,
                         const std::string& help) {
  return app
      ->add_option_function<std::string>(
          name,
          [name, value](const std::string& text) {
            absl::Duration parsed;
            if (!absl::ParseDuration(text, &parsed) ||
                parsed < absl::ZeroDuration()) {
              Refuse(name, text, "a duration such as 500ms, 10s or 1h30m");
            }
            *value = parsed;
          },
          help)
      ->type_name("DURATION");
}

CLI::Option* AddTime(CLI::App* app, const std::string& name,
                     std::optional<absl::Time>* value,
                     const std::string& help) {
  return app
      ->add_option_function<std::string>(
          name,
          [name, value](const std::string& text) {
            absl::Time parsed;
            std::string error;
            if (!absl::ParseTime(absl::RFC3339_full, text, &parsed, &error)) {
              Refuse(name, text,
                     "a time such as 2026-01-31T18:00:00Z or "
                     "2026-01-31T18:00:00+01:00");
            }
            *value = parsed;
          },
          help)
      ->type_name("TIME");
}

CLI::Option* AddPairs(CLI::App* app, const std::string& name,
                      std::map<std::string, std::string>* value,
                      const std::string& help) {
  return app
      ->add_option_function<std::vector<std::string>>(
          name,
          [name, value](const std::vector<std::string>& texts) {
            for (const std::string& text : texts) {
              const size_t equals = text.find('=');
              if (equals == std::string::npos || equals == 0)
                Refuse(name, text, "of the form NAME=VALUE");
              (*value)[text.substr(0, equals)] = text.substr(equals + 1);
            }
          },
          help)
      ->type_name("NAME=VALUE")
      ->allow_extra_args(false);
}

CLI::Option* AddChoice(CLI::App* app, const std::string& name,
                       const std::map<std::string, int>& choices,
                       std::function<void(int)> take, const std::string& help) {
  std::vector<std::string> names;
  for (const auto& [choice, number] : choices) names.push_back(choice);
  return app
      ->add_option_function<std::string>(
          name,
          [name, choices, names,
           take = std::move(take)](const std::string& text) {
            const auto chosen = choices.find(text);
            if (chosen == choices.end())
              Refuse(name, text, "one of " + CLI::detail::join(names, ", "));
            take(chosen->second);
          },
          help)
      ->type_name(CLI::detail::join(names, "|"));
}

}  // namespace apium::cli
