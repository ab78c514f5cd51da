#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "cli/app.h"
#include "cli/exit_code.h"
#include "tests/broker/support/broker_harness.h"

namespace apium::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class RoutingCommandsTest : public ::testing::Test {
 protected:
  struct Ran {
    int exit_code = 0;
    std::string out;
    std::string err;
  };

  // A command line against a real broker, as if on no terminal.
  Ran Run(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(),
                     {"--address", broker_.server().local_target()});
    std::istringstream in;
    std::ostringstream out;
    std::ostringstream err;
    Ran ran;
    ran.exit_code =
        RunApium(std::move(arguments),
                 {.in = &in, .out = &out, .err = &err, .no_color = true});
    ran.out = out.str();
    ran.err = err.str();
    return ran;
  }
  // What a command that must succeed prints.
  std::string Out(std::vector<std::string> arguments) {
    const Ran ran = Run(std::move(arguments));
    EXPECT_EQ(ran.exit_code, kExitOk) << ran.err;
    return ran.out;
  }

  broker::BrokerHarness broker_;
};

TEST_F(RoutingCommandsTest, ExchangesFromCreateToDelete) {
  Out({"queue", "create", "mail"});
  Out({"exchange", "create", "rest", "--type", "fanout"});
  EXPECT_THAT(Out({"exchange", "create", "events", "--type", "topic",
                   "--description", "what happens"}),
              HasSubstr("topic"));
  EXPECT_THAT(Run({"exchange", "create", "x", "--type", "round"}).err,
              HasSubstr("one of direct, fanout, headers, topic"));
  EXPECT_EQ(Out({"exchange", "list", "-q"}), "events\nrest\n");
  EXPECT_THAT(Out({"exchange", "update", "events", "--alternate", "rest"}),
              HasSubstr("what happens"));
  EXPECT_THAT(Out({"exchange", "get", "events"}), HasSubstr("rest"));
  EXPECT_EQ(Run({"exchange", "update", "events"}).exit_code, kExitUsage);
  Out({"exchange", "bind", "events", "--queue", "mail", "--routing-key",
       "order.#"});
  Out({"exchange", "bind", "rest", "--queue", "default"});
  EXPECT_EQ(Run({"exchange", "bind", "events"}).exit_code, kExitUsage);
  EXPECT_THAT(Out({"exchange", "bindings"}), HasSubstr("order.#"));
  EXPECT_THAT(Out({"exchange", "bindings", "rest"}), Not(HasSubstr("order.#")));
  EXPECT_EQ(Out({"route", "resolve", "job", "--exchange", "events",
                 "--routing-key", "order.7"}),
            "mail\n");
  EXPECT_EQ(Out({"route", "resolve", "job", "--exchange", "events"}),
            "default\n");
  EXPECT_EQ(Run({"exchange", "delete", "rest", "-y"}).exit_code, kExitConflict);
  Out({"exchange", "unbind", "events", "--queue", "mail", "--routing-key",
       "order.#"});
  EXPECT_EQ(Run({"exchange", "delete", "events"}).exit_code, kExitUsage);
  Out({"exchange", "delete", "events", "-y"});
  EXPECT_EQ(Run({"exchange", "get", "events"}).exit_code, kExitNotFound);
}

TEST_F(RoutingCommandsTest, HeadersAreBound) {
  Out({"exchange", "create", "e", "--type", "headers"});
  Out({"exchange", "bind", "e", "--queue", "default", "--header", "kind=mail",
       "--header", "urgent=", "--match-any"});
  EXPECT_THAT(Out({"exchange", "bindings", "e"}),
              HasSubstr("kind=mail, urgent (any)"));
  EXPECT_EQ(Out({"route", "resolve", "job", "--exchange", "e", "--header",
                 "urgent=1"}),
            "default\n");
  EXPECT_NE(Run({"route", "resolve", "job", "--exchange", "e"}).exit_code,
            kExitOk);
  Out({"exchange", "create", "f", "--type", "fanout"});
  Out({"exchange", "bind", "f", "--to-exchange", "e"});
  EXPECT_THAT(Out({"exchange", "bindings", "f", "-o", "json"}),
              HasSubstr("\"destinationExchange\": \"e\""));
}

TEST_F(RoutingCommandsTest, RulesFromSetToNone) {
  Out({"queue", "create", "mail"});
  EXPECT_THAT(Out({"route", "set", "mail.*=mail", "*=default"}),
              HasSubstr("mail.*"));
  EXPECT_THAT(Out({"route", "list"}), HasSubstr("mail.*"));
  EXPECT_EQ(Out({"route", "resolve", "mail.send"}), "mail\n");
  const Ran wrong = Run({"route", "set", "mail"});
  EXPECT_EQ(wrong.exit_code, kExitUsage);
  EXPECT_THAT(wrong.err, HasSubstr("GLOB=QUEUE"));
  EXPECT_EQ(Run({"route", "set"}).exit_code, kExitUsage);
  EXPECT_EQ(Run({"route", "set", "a=nowhere"}).exit_code, kExitNotFound);
  EXPECT_NE(Run({"route", "set", "a=mail", "--etag", "7"}).exit_code, kExitOk);
  Out({"route", "set", "--none", "--etag", "1"});
  EXPECT_EQ(Out({"route", "resolve", "mail.send"}), "default\n");
}

}  // namespace
}  // namespace apium::cli
