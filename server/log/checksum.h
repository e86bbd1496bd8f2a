/* checksum: XXH3 as the log uses it; where the library has it for several kinds of processor, the one of this machine. */
#ifndef SERVER_LOG_CHECKSUM_H
#define SERVER_LOG_CHECKSUM_H

#include <xxhash.h>

#if defined(__x86_64__) && defined(__has_include)
#if __has_include(<xxh_x86dispatch.h>)
#include <xxh_x86dispatch.h>
#endif
#endif

#endif
