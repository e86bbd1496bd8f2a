/*
 * process: what the system knows about this process, and how it is set up at the start.
 */
#ifndef SERVER_OPS_PROCESS_H
#define SERVER_OPS_PROCESS_H

#include <stdint.h>

/* Ignores SIGPIPE, and has large areas of memory given back to the system as soon as they are freed. */
void process_init(void);

/* Raises the limit of open descriptors as far as the system lets it. Returns the limit. */
uint64_t process_raise_descriptors(void);

/* Resident memory; 0 if the system does not tell. */
uint64_t process_rss_bytes(void);

/* Processor time used so far. */
void process_cpu_ms(uint64_t *user_ms, uint64_t *system_ms);

/*
 * A number for the receipts of this run. Its low 9 bits count tenths of a second of the wall clock: two starts less
 * than 51 seconds apart never have the same. The bits above are random.
 */
uint32_t process_run_number(void);

/* A random number that is never 0. */
uint64_t process_random_number(void);

/* What the wall clock is ahead of the monotonic clock at this moment. */
int64_t process_wall_offset_ms(void);

#endif
