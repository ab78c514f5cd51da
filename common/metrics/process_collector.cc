#include "common/metrics/process_collector.h"

#include <dirent.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <fstream>
#include <sstream>
#include <string>

#include "common/version.h"

namespace apium {
namespace {

using prometheus::MetricFamily;
using prometheus::MetricType;

MetricFamily SingleValue(const std::string& name, const std::string& help,
                         MetricType type, double value) {
  MetricFamily family;
  family.name = name;
  family.help = help;
  family.type = type;
  prometheus::ClientMetric metric;
  if (type == MetricType::Counter) {
    metric.counter.value = value;
  } else {
    metric.gauge.value = value;
  }
  family.metric.push_back(std::move(metric));
  return family;
}

// The fields of /proc/self/stat after the command's name, which may itself hold
// spaces and brackets; the first is field 3 of proc(5).
struct ProcStat {
  double cpu_seconds = 0;
  double threads = 0;
  double start_ticks = 0;
  double virtual_bytes = 0;
  double resident_bytes = 0;
};

bool ReadProcStat(ProcStat* stat) {
  std::ifstream file("/proc/self/stat");
  std::string text;
  if (!std::getline(file, text)) return false;
  const size_t name_end = text.rfind(')');
  if (name_end == std::string::npos) return false;
  std::istringstream fields(text.substr(name_end + 1));
  std::string state;
  fields >> state;
  // Numbers from field 4 (ppid) to field 24 (rss).
  int64_t field[25] = {};
  for (int i = 4; i <= 24; ++i) fields >> field[i];
  if (!fields) return false;
  const double ticks_per_second = static_cast<double>(sysconf(_SC_CLK_TCK));
  stat->cpu_seconds =
      static_cast<double>(field[14] + field[15]) / ticks_per_second;
  stat->threads = static_cast<double>(field[20]);
  stat->start_ticks = static_cast<double>(field[22]) / ticks_per_second;
  stat->virtual_bytes = static_cast<double>(field[23]);
  stat->resident_bytes = static_cast<double>(field[24]) *
                         static_cast<double>(sysconf(_SC_PAGESIZE));
  return true;
}

// Unix time at which the machine was started, 0 if unknown.
double BootTimeSeconds() {
  std::ifstream file("/proc/stat");
  std::string key;
  while (file >> key) {
    if (key == "btime") {
      double seconds = 0;
      file >> seconds;
      return seconds;
    }
    file.ignore(1 << 20, '\n');
  }
  return 0;
}

double CountOpenFiles() {
  DIR* directory = opendir("/proc/self/fd");
  if (directory == nullptr) return 0;
  int entries = 0;
  while (readdir(directory) != nullptr) ++entries;
  closedir(directory);
  return entries - 3;  // ".", ".." and the descriptor of the folder itself
}

double MaxOpenFiles() {
  rlimit limit = {};
  getrlimit(RLIMIT_NOFILE, &limit);
  return static_cast<double>(limit.rlim_cur);
}

MetricFamily BuildInfo() {
  MetricFamily family =
      SingleValue("apium_build_info", "Always 1; the labels tell the build.",
                  MetricType::Gauge, 1);
  family.metric[0].label = {{"version", std::string(kVersion)},
                            {"compiler", std::string(kCompiler)}};
  return family;
}

}  // namespace

std::vector<MetricFamily> ProcessCollector::Collect() const {
  std::vector<MetricFamily> families;
  families.push_back(BuildInfo());
  families.push_back(SingleValue("process_open_fds",
                                 "Number of open file descriptors.",
                                 MetricType::Gauge, CountOpenFiles()));
  families.push_back(SingleValue("process_max_fds",
                                 "Maximum number of open file descriptors.",
                                 MetricType::Gauge, MaxOpenFiles()));
  ProcStat stat;
  if (!ReadProcStat(&stat)) return families;
  families.push_back(
      SingleValue("process_cpu_seconds_total",
                  "Total user and system CPU time spent in seconds.",
                  MetricType::Counter, stat.cpu_seconds));
  families.push_back(SingleValue("process_resident_memory_bytes",
                                 "Resident memory size in bytes.",
                                 MetricType::Gauge, stat.resident_bytes));
  families.push_back(SingleValue("process_virtual_memory_bytes",
                                 "Virtual memory size in bytes.",
                                 MetricType::Gauge, stat.virtual_bytes));
  families.push_back(SingleValue("process_threads", "Number of threads.",
                                 MetricType::Gauge, stat.threads));
  families.push_back(
      SingleValue("process_start_time_seconds",
                  "Start time of the process since unix epoch in seconds.",
                  MetricType::Gauge, BootTimeSeconds() + stat.start_ticks));
  return families;
}

}  // namespace apium
