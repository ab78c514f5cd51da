#include "common/server_flags.h"

#include <CLI/CLI.hpp>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_replace.h"
#include "common/listen_address.h"
#include "common/strings.h"
#include "common/version.h"

namespace apium {
namespace {

// CLI11 takes an error text, empty for none.
std::string ErrorText(const absl::Status& status) {
  return std::string(status.message());
}

std::string CheckGrpcAddress(const std::string& text) {
  if (absl::StartsWith(text, "unix:")) return "";
  return ErrorText(ParseHostPort(text).status());
}

std::string CheckHttpAddress(const std::string& text) {
  if (text.empty()) return "";
  return ErrorText(ParseHostPort(text).status());
}

// An unset variable in a start script must not cost what was acknowledged.
std::string CheckDataFolder(const std::string& text) {
  return text.empty() ? "it is empty; name a folder" : "";
}

}  // namespace

std::string FlagEnvironmentName(const std::string& service,
                                const std::string& flag) {
  std::string name = StrCat("APIUM_", service, "_", flag);
  absl::StrReplaceAll({{"-", "_"}}, &name);
  absl::AsciiStrToUpper(&name);
  return name;
}

void AddServerFlags(CLI::App* app, const ServerFlagDefaults& defaults,
                    ServerFlags* flags) {
  flags->listen = defaults.listen;
  flags->http_listen = defaults.http_listen;
  flags->data_dir = defaults.data_dir;

  const auto add_text = [&](const std::string& flag, std::string* value,
                            const std::string& help) {
    return app->add_option("--" + flag, *value, help)
        ->envname(FlagEnvironmentName(defaults.service, flag))
        ->capture_default_str();
  };
  // A value that is parsed: what the parser refuses, CLI11 reports with the
  // flag's name.
  const auto add_parsed =
      [&](const std::string& flag, const std::string& default_text,
          const std::string& help, auto parse, auto* value) {
        return app
            ->add_option_function<std::string>(
                "--" + flag,
                [flag, parse, value](const std::string& text) {
                  const auto parsed = parse(text);
                  if (!parsed.ok()) {
                    throw CLI::ValidationError("--" + flag,
                                               ErrorText(parsed.status()));
                  }
                  *value = *parsed;
                },
                help)
            ->envname(FlagEnvironmentName(defaults.service, flag))
            ->default_str(default_text);
      };

  if (!defaults.listen.empty()) {
    add_text("listen", &flags->listen,
             "Where to serve gRPC, host:port; port 0 takes a free one")
        ->check(CheckGrpcAddress, "ADDRESS");
  }
  if (!defaults.http_listen.empty()) {
    add_text("http-listen", &flags->http_listen,
             "Where to serve /metrics, /livez and /readyz, host:port; empty "
             "for nowhere")
        ->check(CheckHttpAddress, "ADDRESS");
  }
  if (!defaults.data_dir.empty()) {
    add_text("data", &flags->data_dir,
             "Folder of the durable state; it is made if it is not there")
        ->check(CheckDataFolder, "FOLDER");
  }
  add_parsed(
      "log-level", "info", "debug, info, warn or error",
      [](const std::string& text) { return ParseLogLevel(text); },
      &flags->log_level);
  add_parsed(
      "log-format", "auto",
      "text, json, or auto: text on a terminal, else json",
      [](const std::string& text) { return ParseLogFormat(text); },
      &flags->log_format);
  add_text("port-file", &flags->port_file,
           "File to write the bound ports to (grpc=PORT, http=PORT) when the "
           "server answers");
  app->set_version_flag("--version",
                        StrCat("apium-", defaults.service, " ", kVersion));
}

CLI::Option* AddDurationFlag(CLI::App* app, const std::string& flag,
                             absl::Duration* value, absl::Duration min,
                             absl::Duration max, const std::string& help) {
  return app
      ->add_option_function<std::string>(
          "--" + flag,
          [flag, value, min, max](const std::string& text) {
            absl::Duration parsed;
            if (!absl::ParseDuration(text, &parsed)) {
              throw CLI::ValidationError(
                  "--" + flag, StrCat("\"", text,
                                      "\" is not a duration; write one such as "
                                      "500ms, 30s or 1h30m"));
            }
            if (parsed < min || parsed > max) {
              throw CLI::ValidationError(
                  "--" + flag, StrCat(absl::FormatDuration(parsed),
                                      " is out of range; it is from ",
                                      absl::FormatDuration(min), " to ",
                                      absl::FormatDuration(max)));
            }
            *value = parsed;
          },
          help)
      ->type_name("DURATION")
      ->default_str(absl::FormatDuration(*value));
}

}  // namespace apium
