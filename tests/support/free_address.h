#ifndef APIUM_TESTS_SUPPORT_FREE_ADDRESS_H_
#define APIUM_TESTS_SUPPORT_FREE_ADDRESS_H_

#include <string>

namespace apium {

// host:port of this machine for a server that is stopped and started again
// there. The port is outside of the range that the system gives to sockets that
// connect, so that nobody takes it meanwhile.
std::string FreeAddress();

}  // namespace apium

#endif  // APIUM_TESTS_SUPPORT_FREE_ADDRESS_H_
