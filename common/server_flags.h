// The flags that all servers share.

#ifndef APIUM_COMMON_SERVER_FLAGS_H_
#define APIUM_COMMON_SERVER_FLAGS_H_

#include <string>

#include "absl/time/time.h"
#include "common/log.h"

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace apium {

struct ServerFlags {
  std::string
      listen;  // host:port of gRPC; empty for a process without a gRPC server
  std::string http_listen;  // host:port of /metrics and health; empty: none
  std::string data_dir;     // empty for a process without durable state
  LogLevel log_level = LogLevel::kInfo;
  LogFormat log_format = LogFormat::kAuto;
  std::string port_file;  // empty: not written
};

struct ServerFlagDefaults {
  std::string service;      // "broker": environment variables are
                            // APIUM_BROKER_LISTEN and so on
  std::string listen;       // "0.0.0.0:7450"; empty leaves out --listen
  std::string http_listen;  // "0.0.0.0:9450"
  std::string data_dir;     // "/var/lib/apium/broker"; empty leaves out --data
};

// Adds --listen, --http-listen, --data, --log-level, --log-format, --port-file
// and --version to `app`, each also as APIUM_<SERVICE>_<FLAG> in the
// environment. A bad value ends parsing with a CLI::ValidationError that names
// the flag, the value and the choices. `flags` must outlive the parsing.
void AddServerFlags(CLI::App* app, const ServerFlagDefaults& defaults,
                    ServerFlags* flags);

// The environment variable of a flag: ("broker", "http-listen") ->
// "APIUM_BROKER_HTTP_LISTEN".
std::string FlagEnvironmentName(const std::string& service,
                                const std::string& flag);

// Adds a flag that takes a duration such as 500ms, 30s, 1h30m, in [min, max];
// `value` holds the default and receives the value.
CLI::Option* AddDurationFlag(CLI::App* app, const std::string& flag,
                             absl::Duration* value, absl::Duration min,
                             absl::Duration max, const std::string& help);

}  // namespace apium

#endif  // APIUM_COMMON_SERVER_FLAGS_H_
