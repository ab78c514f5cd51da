// The broker on a store that lies: what the checker of histories must find.
// Without its two flags it is an ordinary broker.

#include <CLI/CLI.hpp>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <utility>

#include "broker/broker_server.h"
#include "common/check.h"
#include "common/limits.h"
#include "common/log.h"
#include "common/port_file.h"
#include "common/process_init.h"
#include "common/server_flags.h"
#include "common/shutdown.h"
#include "storage/rocksdb_store.h"
#include "tests/support/fault_injecting_store.h"

namespace apium::crash {
namespace {

int Main(int argc, char** argv) {
  CLI::App app("A broker on a store that lies", "faulty_broker");
  ServerFlags flags;
  AddServerFlags(&app,
                 {.service = "faulty",
                  .listen = "127.0.0.1:0",
                  .http_listen = "127.0.0.1:0",
                  .data_dir = "data"},
                 &flags);
  broker::BrokerConfig config;
  app.add_option("--results", config.results_address, "Result service");
  AddDurationFlag(&app, "lease-duration", &config.engine.lease_duration,
                  kLeaseMin, kLeaseMax, "Of the engine");
  AddDurationFlag(&app, "reattach-grace", &config.engine.reattach_grace,
                  absl::ZeroDuration(), kLeaseMax, "Of the engine");
  size_t delayed_syncs = 0;
  app.add_option("--delay-synced-writes", delayed_syncs,
                 "A synced write reaches the disk this many syncs later");
  std::string dropped_rows;
  app.add_option("--drop-rows", dropped_rows,
                 "Rows with this prefix are never written");
  CLI11_PARSE(app, argc, argv);
  InitProcess({.service = "faulty-broker", .format = LogFormat::kText});

  RocksDbOptions options;
  options.path = flags.data_dir;
  auto disk = RocksDbStore::Open(options);
  APIUM_CHECK(disk.ok()) << disk.status();
  auto store = std::make_unique<FaultInjectingStore>(*std::move(disk));
  store->DelaySyncedWrites(delayed_syncs);
  if (!dropped_rows.empty()) store->DropRows(dropped_rows);
  config.store = std::move(store);
  config.listen_address = flags.listen;
  config.http_listen_address = flags.http_listen;
  ShutdownSignal shutdown;
  config.on_failure = [&shutdown](const absl::Status& status) {
    shutdown.Request(status.ToString());
  };
  auto server = broker::BrokerServer::Start(std::move(config));
  APIUM_CHECK(server.ok()) << server.status();
  const absl::Status written =
      WritePortFile(flags.port_file, {.grpc = (*server)->port()});
  APIUM_CHECK(written.ok()) << written;
  shutdown.Wait();
  return EXIT_FAILURE;
}

}  // namespace
}  // namespace apium::crash

int main(int argc, char** argv) { return apium::crash::Main(argc, argv); }
