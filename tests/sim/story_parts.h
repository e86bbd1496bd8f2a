/*
 * The parts of a story: what story.c and the files beside it share. The language itself is described in story.h.
 */
#ifndef TESTS_SIM_STORY_PARTS_H
#define TESTS_SIM_STORY_PARTS_H

#include "server/broker/broker.h"
#include "tests/sim/story.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MAX_WORDS    64
#define NO_NUMBER    (-1)
#define ENDLESS_ROOM ((int64_t)1 << 50)
#define LINE_ROOM    4096 /* no single thing that is said is longer */
#define WALL_OFFSET  1000000

/* A delivery that somebody has seen: the story names it by message and attempt. */
struct seen {
    uint64_t receipt, id;
    uint32_t attempt;
    char queue[LIMIT_NAME_BYTES + 1];
};

/* Text that grows. */
struct text {
    char *data;
    size_t bytes, cap;
};

struct story {
    struct broker broker;
    struct mirror *mirror;
    struct logged *logged;
    int64_t now_ms;
    struct peer peers[26];
    bool open[26];
    uint64_t next_token;   /* of receives */
    uint64_t next_publish; /* of publishes that may be held */
    struct seen *seen;
    size_t seen_count, seen_cap;
    struct text out;
    struct text before; /* the state before the command */
    struct text after;
    bool refused; /* the command was: nothing may have changed */
    char *words[MAX_WORDS];
    int word_count;
};

/* Messages of a publish, with the memory that they point to. */
struct told {
    struct publication items[MAX_WORDS];
    struct view bodies[MAX_WORDS];
    enum error_code refused[MAX_WORDS];
    const char *which[MAX_WORDS];
    void *memory[MAX_WORDS * 2];
    uint32_t count, memory_count;
};

/* ---- story_words.c: what a line says ----------------------------------------------------------------------------- */

/* The text after "key=" among the words from `first` on, or NULL; as a number; and whether a word is there. */
const char *word_option(const struct story *s, int first, const char *key);
int64_t word_number(const struct story *s, int first, const char *key, int64_t otherwise);
bool word_flag(const struct story *s, int first, const char *word);

/* The things that a word names. NULL, and said, if there is none. */
struct queue *word_queue(struct story *s, int word);
struct topic *word_topic(struct story *s, int word);
struct peer *word_peer(struct story *s, int letter);

/* A mask of message states; all four if there is no word. */
unsigned word_states(const char *word);

/* k=v words from the third on. */
void word_attributes(struct story *s, struct attribute_set *set);

/* Messages: all words from `first` to before `last` that are no options of the call. */
void told_read(struct story *s, int first, int last, struct told *told);
void told_free(struct told *told);
struct publications told_view(struct told *told);

/* The filter "key:condition[:value]"; returns its bytes at `out`. */
size_t word_filter(const char *word, uint8_t *out, size_t room);

/* Receipts of the deliveries that words name: those from `first` to before `last` that begin with a digit. */
uint32_t word_receipts(struct story *s, const char *queue, int first, int last, uint64_t *out);

/* ---- story_say.c: what the broker says --------------------------------------------------------------------------- */

__attribute__((format(printf, 2, 3))) void story_say(struct story *s, const char *format, ...);

/* A refused call. */
void story_say_error(struct story *s, enum error_code code);
void story_say_outcomes(struct story *s, const char *indent, const struct outcome *outcomes, uint32_t count);
void story_say_ids(struct story *s, uint64_t first_id, uint32_t stored);
void story_say_deliveries(struct story *s, uint32_t first, uint32_t count);
void story_say_message(struct story *s, const struct message *m);
void story_say_headers(struct story *s, const struct message *m);

/* What the turn has brought, sorted by who gets it. */
void story_say_effects(struct story *s);

/* ---- commands ---------------------------------------------------------------------------------------------------- */

void story_create(struct story *s);
void story_update(struct story *s);
void story_delete(struct story *s);
void story_purge(struct story *s);
void story_pause(struct story *s);
void story_info(struct story *s);
void story_counters(struct story *s);
void story_list(struct story *s);
void story_show(struct story *s);
void story_kick(struct story *s);
void story_discard(struct story *s);
void story_peek(struct story *s);
void story_topic(struct story *s);
void story_move(struct story *s);
void story_moves(struct story *s);
void story_move_cancel(struct story *s);
void story_commit(struct story *s);
/* Those of a peer: words[0] is its letter if there is one (peer not NULL), the verb comes next. */
void story_publish(struct story *s, struct peer *peer);
void story_publish_topic(struct story *s, struct peer *peer);
void story_peer(struct story *s);

/* ---- story_check.c: what must always hold ------------------------------------------------------------------------ */

void check_broker(struct broker *b);
void story_check(struct story *s);

/* ---- story_state.c: the state as text ---------------------------------------------------------------------------- */

/* Appends what a story shows of the state; `wholly`: everything that a refused call must not change. */
void story_state(const struct story *s, struct text *out, bool wholly);
void story_put(struct text *out, const char *data, size_t bytes);

#endif
