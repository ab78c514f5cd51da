#include "cli/limit_commands.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "apium/v1/limit_service.pb.h"
#include "cli/exit_code.h"
#include "cli/option_values.h"
#include "cli/session.h"
#include "cli/table.h"
#include "cli/task_text.h"
#include "client/limit_client.h"
#include "common/limits.h"
#include "common/names.h"
#include "common/rpc/proto_time.h"
#include "common/status_macros.h"
#include "common/strings.h"

namespace apium::cli {
namespace {

std::string PartitionText(const v1::Limit& limit) {
  if (limit.partition() == v1::LIMIT_PARTITION_KEY)
    return StrCat("key ", limit.key());
  const std::string& name = v1::LimitPartition_Name(limit.partition());
  std::string text =
      absl::AsciiStrToLower(absl::StripPrefix(name, "LIMIT_PARTITION_"));
  return text == "none" ? "" : absl::StrReplaceAll(text, {{"_", " "}});
}

// "100/1m0s"
std::string RateText(const v1::Limit& limit) {
  if (!limit.has_rate()) return "";
  const auto& period = limit.rate().period();
  return StrCat(limit.rate().points(), "/",
                absl::FormatDuration(absl::Seconds(period.seconds()) +
                                     absl::Nanoseconds(period.nanos())));
}

std::string ConcurrencyText(const v1::Limit& limit) {
  return limit.max_concurrency() == 0 ? "" : StrCat(limit.max_concurrency());
}

void PrintLimitTable(const v1::ListLimitsResponse& page, const Output& output) {
  if (output.quiet()) {
    for (const v1::Limit& limit : page.limits())
      *output.out() << limit.name() << "\n";
    return;
  }
  Table table({{.name = "NAME"},
               {.name = "TYPES"},
               {.name = "QUEUES"},
               {.name = "PER"},
               {.name = "CONCURRENCY", .align = Align::kRight},
               {.name = "RATE", .align = Align::kRight},
               {.name = "STATE"}});
  for (const v1::Limit& limit : page.limits()) {
    table.AddRow({limit.name(),
                  limit.type_pattern().empty() ? "*" : limit.type_pattern(),
                  limit.queue_pattern().empty() ? "*" : limit.queue_pattern(),
                  PartitionText(limit), ConcurrencyText(limit), RateText(limit),
                  Cell(limit.disabled() ? "disabled" : "on",
                       limit.disabled() ? Style::kYellow : Style::kPlain)});
  }
  table.Print(output.out(), output.color());
}

void PrintLimit(const v1::Limit& limit, const Output& output) {
  output.Print(limit, [&] {
    Details details;
    details.Add("Name", limit.name());
    details.Add("Description", limit.description());
    details.Add("State", limit.disabled() ? "disabled" : "on");
    details.Add("Types", limit.type_pattern());
    details.Add("Queues", limit.queue_pattern());
    details.Add("Counts apart", PartitionText(limit));
    details.Add("Concurrency", ConcurrencyText(limit));
    details.Add("Rate", RateText(limit));
    if (limit.has_rate()) {
      details.Add("Burst", StrCat(limit.rate().burst()));
      details.Add("Cost", StrCat(limit.rate().cost()));
    }
    details.Add("Created", TimeText(limit.create_time()));
    details.Add("Etag", limit.etag());
    details.Print(output.out(), output.color());
  });
}

void PrintUsageTable(const v1::ListLimitUsageResponse& page,
                     const Output& output) {
  if (output.quiet()) {
    for (const v1::LimitUsage& usage : page.usage())
      *output.out() << usage.key() << "\n";
    return;
  }
  Table table({{.name = "KEY"},
               {.name = "RUNNING", .align = Align::kRight},
               {.name = "POINTS", .align = Align::kRight},
               {.name = "WAITING", .align = Align::kRight},
               {.name = "PAUSED UNTIL"}});
  for (const v1::LimitUsage& usage : page.usage()) {
    table.AddRow({usage.key(), StrCat(usage.running()), StrCat(usage.points()),
                  StrCat(usage.waiting_lanes()),
                  Cell(TimeText(usage.pause_until()), Style::kYellow)});
  }
  table.Print(output.out(), output.color());
}

absl::Status BadRate(const std::string& text) {
  return absl::InvalidArgumentError(
      StrCat("--rate: ", QuoteForMessage(text),
             " is not of the form POINTS/PERIOD, such as 10/1s or 100/1m"));
}

// "10/1s", "10/s"
absl::Status TakeRate(const std::string& text, v1::Rate* rate) {
  const size_t slash = text.find('/');
  if (slash == std::string::npos) return BadRate(text);
  double points = 0;
  std::string period_text = text.substr(slash + 1);
  if (!period_text.empty() && absl::ascii_isalpha(period_text.front()))
    period_text.insert(period_text.begin(), '1');
  absl::Duration period;
  const bool parsed = absl::SimpleAtod(text.substr(0, slash), &points) &&
                      absl::ParseDuration(period_text, &period) &&
                      period > absl::ZeroDuration();
  if (!parsed || period == absl::InfiniteDuration()) return BadRate(text);
  rate->set_points(points);
  DurationToProto(period, rate->mutable_period());
  return absl::OkStatus();
}

// What create and update have in common.
struct SettingFlags {
  std::string name;
  std::optional<std::string> description;
  std::optional<std::string> type_pattern;
  std::optional<std::string> queue_pattern;
  std::optional<uint32_t> max_concurrency;
  std::optional<std::string> rate;
  std::optional<double> burst;
  std::optional<double> cost;
};

void AddName(CLI::App* command, std::string* name) {
  command->add_option("name", *name, "Name of the limit")
      ->required()
      ->type_name("NAME");
}

void AddSettings(CLI::App* command, SettingFlags* flags) {
  AddName(command, &flags->name);
  command->add_option("--description", flags->description, "For people")
      ->type_name("TEXT");
  command
      ->add_option("--types", flags->type_pattern,
                   "Only tasks of these types; * and ? stand for others [all]")
      ->type_name("GLOB");
  command
      ->add_option("--queues", flags->queue_pattern,
                   "Only tasks of these queues [all]")
      ->type_name("GLOB");
  command
      ->add_option("--concurrency", flags->max_concurrency,
                   "Tasks that workers may hold at a time; 0: any number")
      ->check(CLI::Range(0, 1'000'000))
      ->type_name("NUMBER");
  command
      ->add_option("--rate", flags->rate,
                   "Points that come back in each period, as 10/1s; none: any "
                   "number of tasks may start")
      ->type_name("POINTS/PERIOD");
  command
      ->add_option("--burst", flags->burst,
                   "Points that can be there at most [as --rate]")
      ->type_name("POINTS");
  command->add_option("--cost", flags->cost, "Points that a task takes [1]")
      ->type_name("POINTS");
}

// Fills the limit, and names what is set.
absl::Status TakeSettings(const SettingFlags& flags, v1::Limit* limit,
                          std::vector<std::string>* paths) {
  APIUM_RETURN_IF_ERROR(ValidateQueueName("name", flags.name));
  limit->set_name(flags.name);
  if (flags.description) {
    limit->set_description(*flags.description);
    paths->push_back("description");
  }
  if (flags.type_pattern) {
    limit->set_type_pattern(*flags.type_pattern);
    paths->push_back("type_pattern");
  }
  if (flags.queue_pattern) {
    limit->set_queue_pattern(*flags.queue_pattern);
    paths->push_back("queue_pattern");
  }
  if (flags.max_concurrency) {
    limit->set_max_concurrency(*flags.max_concurrency);
    paths->push_back("max_concurrency");
  }
  if (flags.rate) {
    if (*flags.rate != "none")
      APIUM_RETURN_IF_ERROR(TakeRate(*flags.rate, limit->mutable_rate()));
    paths->push_back("rate");
  }
  if (!flags.burst && !flags.cost) return absl::OkStatus();
  if (!limit->has_rate())
    return absl::InvalidArgumentError("--burst and --cost need a --rate");
  limit->mutable_rate()->set_burst(flags.burst.value_or(0));
  limit->mutable_rate()->set_cost(flags.cost.value_or(0));
  return absl::OkStatus();
}

void AddCreate(CLI::App* parent, Session* session) {
  struct Flags {
    SettingFlags settings;
    int partition = v1::LIMIT_PARTITION_UNSPECIFIED;
    std::string key;
    bool disabled = false;
  };
  CLI::App* create = parent->add_subcommand("create", "Make a limit");
  const auto flags = std::make_shared<Flags>();
  AddSettings(create, &flags->settings);
  AddChoice(
      create, "--per",
      {{"type", v1::LIMIT_PARTITION_TYPE},
       {"queue", v1::LIMIT_PARTITION_QUEUE},
       {"fairness-key", v1::LIMIT_PARTITION_FAIRNESS_KEY}},
      [flags](int choice) { flags->partition = choice; },
      "Count each of them apart [all together]");
  create
      ->add_option("--per-key", flags->key,
                   "Count each value of this limit key of the tasks apart")
      ->type_name("NAME")
      ->excludes("--per");
  create->add_flag("--disabled", flags->disabled, "Limit nothing for now");
  create->footer(
      "Examples:\n"
      "  apium limit create crm --types 'crm.*' --concurrency 10\n"
      "  apium limit create api --rate 100/1m --burst 20 --per-key account");
  session->SetCommand(create, [flags, session]() -> absl::StatusOr<int> {
    v1::Limit limit;
    std::vector<std::string> paths;
    APIUM_RETURN_IF_ERROR(TakeSettings(flags->settings, &limit, &paths));
    if (!flags->key.empty()) flags->partition = v1::LIMIT_PARTITION_KEY;
    limit.set_partition(static_cast<v1::LimitPartition>(flags->partition));
    limit.set_key(flags->key);
    limit.set_disabled(flags->disabled);
    APIUM_ASSIGN_OR_RETURN(LimitClient * limits, session->limits());
    APIUM_ASSIGN_OR_RETURN(limit, limits->Create(std::move(limit)));
    PrintLimit(limit, session->output());
    return kExitOk;
  });
}

void AddUpdate(CLI::App* parent, Session* session) {
  struct Flags {
    SettingFlags settings;
    std::optional<bool> disabled;
    std::string etag;
  };
  CLI::App* update = parent->add_subcommand("update", "Change a limit");
  const auto flags = std::make_shared<Flags>();
  AddSettings(update, &flags->settings);
  update
      ->add_option("--disabled", flags->disabled,
                   "Whether it limits nothing for now")
      ->type_name("true|false");
  update
      ->add_option("--etag", flags->etag,
                   "Only if the limit is as it was when it had this etag")
      ->type_name("ETAG");
  update->footer(
      "Examples:\n"
      "  apium limit update crm --concurrency 20\n"
      "  apium limit update api --disabled true");
  session->SetCommand(update, [flags, session]() -> absl::StatusOr<int> {
    v1::Limit limit;
    std::vector<std::string> paths;
    APIUM_RETURN_IF_ERROR(TakeSettings(flags->settings, &limit, &paths));
    limit.set_etag(flags->etag);
    if (flags->disabled) {
      limit.set_disabled(*flags->disabled);
      paths.push_back("disabled");
    }
    if (paths.empty()) {
      return absl::InvalidArgumentError(
          "nothing to change: give --description, --types, --queues, "
          "--concurrency, --rate or --disabled");
    }
    APIUM_ASSIGN_OR_RETURN(LimitClient * limits, session->limits());
    APIUM_ASSIGN_OR_RETURN(limit, limits->Update(std::move(limit), paths));
    PrintLimit(limit, session->output());
    return kExitOk;
  });
}

void AddGet(CLI::App* parent, Session* session) {
  CLI::App* get = parent->add_subcommand("get", "Show a limit");
  const auto name = std::make_shared<std::string>();
  AddName(get, name.get());
  session->SetCommand(get, [name, session]() -> absl::StatusOr<int> {
    APIUM_RETURN_IF_ERROR(ValidateQueueName("name", *name));
    APIUM_ASSIGN_OR_RETURN(LimitClient * limits, session->limits());
    APIUM_ASSIGN_OR_RETURN(const v1::Limit limit, limits->Get(*name));
    PrintLimit(limit, session->output());
    return kExitOk;
  });
}

void AddList(CLI::App* parent, Session* session) {
  CLI::App* list = parent->add_subcommand("list", "List the limits");
  session->SetCommand(list, [session]() -> absl::StatusOr<int> {
    APIUM_ASSIGN_OR_RETURN(LimitClient * limits, session->limits());
    v1::ListLimitsResponse all;
    std::string page_token;
    do {
      APIUM_ASSIGN_OR_RETURN(v1::ListLimitsResponse page,
                             limits->List(0, page_token));
      for (v1::Limit& limit : *page.mutable_limits())
        all.add_limits()->Swap(&limit);
      page_token = page.next_page_token();
    } while (!page_token.empty());
    session->output().Print(all,
                            [&] { PrintLimitTable(all, session->output()); });
    return kExitOk;
  });
}

void AddDelete(CLI::App* parent, Session* session) {
  struct Flags {
    std::string name;
    bool yes = false;
  };
  CLI::App* command = parent->add_subcommand(
      "delete", "Delete a limit; what it held up goes on");
  const auto flags = std::make_shared<Flags>();
  AddName(command, &flags->name);
  command->add_flag("-y,--yes", flags->yes,
                    "Do not ask; needed where there is no terminal");
  session->SetCommand(command, [flags, session]() -> absl::StatusOr<int> {
    APIUM_RETURN_IF_ERROR(ValidateQueueName("name", flags->name));
    APIUM_ASSIGN_OR_RETURN(
        const bool confirmed,
        session->Confirm(flags->yes,
                         StrCat("Delete the limit ", flags->name, "?")));
    if (!confirmed) return kExitError;
    APIUM_ASSIGN_OR_RETURN(LimitClient * limits, session->limits());
    APIUM_RETURN_IF_ERROR(limits->Delete(flags->name));
    session->output().Print(v1::DeleteLimitResponse(), [&] {
      session->output().Note(StrCat("deleted the limit ", flags->name));
    });
    return kExitOk;
  });
}

void AddUsage(CLI::App* parent, Session* session) {
  struct Flags {
    std::string name;
    uint32_t max = kPageSizeDefault;
  };
  CLI::App* usage = parent->add_subcommand(
      "usage", "What is used of a limit, by what it counts apart");
  const auto flags = std::make_shared<Flags>();
  AddName(usage, &flags->name);
  usage->add_option("--limit", flags->max, "At most so many keys [100]")
      ->check(CLI::Range(1, 1'000'000))
      ->type_name("NUMBER");
  session->SetCommand(usage, [flags, session]() -> absl::StatusOr<int> {
    APIUM_RETURN_IF_ERROR(ValidateQueueName("name", flags->name));
    APIUM_ASSIGN_OR_RETURN(LimitClient * limits, session->limits());
    v1::ListLimitUsageResponse all;
    std::string page_token;
    do {
      const uint32_t wanted =
          flags->max - static_cast<uint32_t>(all.usage_size());
      APIUM_ASSIGN_OR_RETURN(
          v1::ListLimitUsageResponse page,
          limits->Usage(flags->name, std::min<uint32_t>(wanted, kPageSizeMax),
                        page_token));
      for (v1::LimitUsage& entry : *page.mutable_usage())
        all.add_usage()->Swap(&entry);
      page_token = page.next_page_token();
    } while (!page_token.empty() &&
             static_cast<uint32_t>(all.usage_size()) < flags->max);
    session->output().Print(all,
                            [&] { PrintUsageTable(all, session->output()); });
    return kExitOk;
  });
}

struct KeyFlags {
  std::string name;
  std::string key;
  std::optional<absl::Duration> duration;
};

void AddKey(CLI::App* command, KeyFlags* flags) {
  AddName(command, &flags->name);
  command
      ->add_option("--key", flags->key,
                   "What is counted apart, as `usage` shows it; for a limit "
                   "that counts all together none")
      ->type_name("KEY");
}

absl::StatusOr<int> PauseKey(const KeyFlags& flags, absl::Duration duration,
                             Session* session) {
  APIUM_RETURN_IF_ERROR(ValidateQueueName("name", flags.name));
  APIUM_ASSIGN_OR_RETURN(LimitClient * limits, session->limits());
  v1::ListLimitUsageResponse shown;
  APIUM_ASSIGN_OR_RETURN(*shown.add_usage(),
                         limits->PauseKey(flags.name, flags.key, duration));
  session->output().Print(shown.usage(0),
                          [&] { PrintUsageTable(shown, session->output()); });
  return kExitOk;
}

void AddPause(CLI::App* parent, Session* session) {
  CLI::App* pause = parent->add_subcommand(
      "pause", "Hold up for a time what a limit counts under one key");
  const auto flags = std::make_shared<KeyFlags>();
  AddKey(pause, flags.get());
  AddDuration(pause, "--for", &flags->duration, "How long")->required();
  pause->footer("Example:\n  apium limit pause api --key acme --for 30s");
  session->SetCommand(pause, [flags, session]() -> absl::StatusOr<int> {
    // 0 would end a pause.
    if (*flags->duration == absl::ZeroDuration()) {
      return absl::InvalidArgumentError(
          "--for is 0; must be above 0 (`resume` ends a pause)");
    }
    return PauseKey(*flags, *flags->duration, session);
  });
}

void AddResume(CLI::App* parent, Session* session) {
  CLI::App* resume = parent->add_subcommand("resume", "End a pause of a key");
  const auto flags = std::make_shared<KeyFlags>();
  AddKey(resume, flags.get());
  session->SetCommand(resume, [flags, session]() -> absl::StatusOr<int> {
    return PauseKey(*flags, absl::ZeroDuration(), session);
  });
}

}  // namespace

void AddLimitCommands(CLI::App* app, Session* session) {
  CLI::App* limit = app->add_subcommand(
      "limit", "How many tasks run at a time, and how many start in a time");
  limit->require_subcommand(1);
  AddList(limit, session);
  AddGet(limit, session);
  AddCreate(limit, session);
  AddUpdate(limit, session);
  AddDelete(limit, session);
  AddUsage(limit, session);
  AddPause(limit, session);
  AddResume(limit, session);
}

}  // namespace apium::cli
