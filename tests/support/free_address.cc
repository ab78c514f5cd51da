#include "tests/support/free_address.h"

#include <algorithm>
#include <fstream>
#include <random>

#include "common/listen_address.h"

namespace apium {

std::string FreeAddress() {
  constexpr int kLowest = 10'000;
  int highest = 32'767;
  std::ifstream range("/proc/sys/net/ipv4/ip_local_port_range");
  if (int first = 0; range >> first) highest = std::max(first - 1, kLowest);
  std::random_device random;
  std::uniform_int_distribution<int> ports(kLowest, highest);
  HostPort address{.host = "127.0.0.1"};
  do {
    address.port = ports(random);
  } while (!CheckCanListen(address).ok());
  return FormatHostPort(address);
}

}  // namespace apium
