// The program's main, diverted at link time by -Wl,--wrap=main: a process that was started as a
// task process becomes a host instead. A file of its own: the linker takes it from the archive only
// when main is wrapped.
#include "achilles/host/process_state.hpp"

extern "C" int __real_main(int argc, char** argv, char** environment);

extern "C" int __wrap_main(int argc, char** argv, char** environment) {
  achilles::host::enter_main();
  return __real_main(argc, argv, environment);
}
