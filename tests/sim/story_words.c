/* What the words of a story's lines mean. */
#include "server/broker/filter.h"
#include "tests/sim/story_parts.h"

const char *word_option(const struct story *s, int first, const char *key)
{
    size_t bytes = strlen(key);
    for (int i = first; i < s->word_count; i++)
        if (strncmp(s->words[i], key, bytes) == 0 && s->words[i][bytes] == '=')
            return s->words[i] + bytes + 1;
    return NULL;
}

int64_t word_number(const struct story *s, int first, const char *key, int64_t otherwise)
{
    const char *text = word_option(s, first, key);
    return text ? strtoll(text, NULL, 10) : otherwise;
}

bool word_flag(const struct story *s, int first, const char *word)
{
    for (int i = first; i < s->word_count; i++)
        if (strcmp(s->words[i], word) == 0)
            return true;
    return false;
}

struct queue *word_queue(struct story *s, int word)
{
    assert_true(word < s->word_count);
    struct queue *q = broker_queue_find(&s->broker, s->words[word], strlen(s->words[word]));
    if (!q)
        story_say(s, "  QUEUE_NOT_FOUND\n");
    return q;
}

struct topic *word_topic(struct story *s, int word)
{
    assert_true(word < s->word_count);
    struct topic *t = broker_topic_find(&s->broker, s->words[word], strlen(s->words[word]));
    if (!t)
        story_say(s, "  TOPIC_NOT_FOUND\n");
    return t;
}

struct peer *word_peer(struct story *s, int letter)
{
    int i = letter - 'A';
    if (!s->open[i]) {
        broker_peer_open(&s->peers[i], (void *)(intptr_t)letter, ENDLESS_ROOM);
        s->open[i] = true;
    }
    return &s->peers[i];
}

unsigned word_states(const char *word)
{
    static const char *const names[] = {"delayed", "ready", "inflight", "parked"};
    for (unsigned i = 0; word && i < 4; i++)
        if (strcmp(names[i], word) == 0)
            return 1u << i;
    return 15;
}

/* ---- attributes -------------------------------------------------------------------------------------------------- */

static void read_name(const char *word, struct queue_name *name)
{
    size_t bytes = strcmp(word, "nil") == 0 ? 0 : strlen(word);
    assert_true(bytes <= LIMIT_NAME_BYTES);
    name->bytes = (uint8_t)bytes;
    memcpy(name->text, word, bytes);
}

/* nil, or base/factor/cap/jitter; what is left out at the end has its usual value. */
static void read_backoff(const char *word, struct backoff *backoff)
{
    *backoff = (struct backoff){.base_ms = 0, .factor = BACKOFF_FACTOR};
    if (strcmp(word, "nil") == 0) {
        backoff->factor = 0;
        return;
    }
    char *end;
    backoff->base_ms = strtoll(word, &end, 10);
    if (*end == '/')
        backoff->factor = strtod(end + 1, &end);
    if (*end == '/')
        backoff->cap_ms = strtoll(end + 1, &end, 10);
    if (*end == '/')
        backoff->jitter = strtod(end + 1, &end);
    assert_int_equal(*end, '\0');
}

static int64_t read_scalar(enum attribute a, const char *word)
{
    if (attribute_row(a)->kind == ATTRIBUTE_CHOICE)
        return attribute_choice(a, word, strlen(word));
    if (attribute_row(a)->kind == ATTRIBUTE_BOOL && strcmp(word, "true") == 0)
        return 1;
    return strtoll(word, NULL, 10);
}

void word_attributes(struct story *s, struct attribute_set *set)
{
    attributes_init(&set->values);
    set->named = 0;
    for (int i = 2; i < s->word_count; i++) {
        char *value = strchr(s->words[i], '=');
        assert_non_null(value);
        enum attribute a = attribute_find(s->words[i], (size_t)(value - s->words[i]));
        assert_int_not_equal(a, ATTRIBUTE_TOTAL);
        value++;
        if (a == ATTRIBUTE_dead_letter)
            read_name(value, &set->values.dead_letter);
        else if (a == ATTRIBUTE_backoff)
            read_backoff(value, &set->values.backoff);
        else
            *attribute_value(&set->values, a) = read_scalar(a, value);
        set->named |= 1u << a;
    }
}

/* ---- messages ---------------------------------------------------------------------------------------------------- */

static void *remember(struct told *told, size_t bytes)
{
    void *memory = calloc(1, bytes);
    assert_non_null(memory);
    assert_true(told->memory_count < sizeof told->memory / sizeof *told->memory);
    told->memory[told->memory_count++] = memory;
    return memory;
}

/* A header k:v; a value of digits is a number. Added behind those that the message has. */
static void read_header(struct told *told, struct publication *p, const char *text, size_t bytes)
{
    const char *colon = memchr(text, ':', bytes);
    assert_non_null(colon);
    struct header h = {.kind = HEADER_TEXT, .key = {text, (size_t)(colon - text)}};
    h.bytes = (struct view){colon + 1, bytes - h.key.bytes - 1};
    if (strspn(colon + 1, "0123456789") >= h.bytes.bytes && h.bytes.bytes > 0) {
        h.kind = HEADER_UINT;
        h.number = strtoull(colon + 1, NULL, 10);
    }
    uint8_t *all = remember(told, p->headers.bytes + header_bytes(&h));
    if (p->headers.bytes > 0)
        memcpy(all, p->headers.data, p->headers.bytes);
    uint8_t *end = header_put(all + p->headers.bytes, &h);
    p->headers = (struct view){all, (size_t)(end - all)};
}

static void read_item(struct told *told, struct publication *p, const char *key, const char *value, size_t bytes)
{
    size_t key_bytes = (size_t)(value - key);
#define IS(word) (key_bytes == sizeof word - 1 && memcmp(key, word, key_bytes) == 0)
    if (IS("delay=")) {
        p->delay_ms = strtoll(value, NULL, 10);
    } else if (IS("ttl=")) {
        p->ttl_ms = strtoll(value, NULL, 10);
    } else if (IS("group=")) {
        p->group = (struct view){value, bytes};
    } else if (IS("dedup=")) {
        p->dedup_id = (struct view){value, bytes};
    } else if (IS("priority=")) {
        p->priority = (uint8_t)strtoul(value, NULL, 10);
    } else if (IS("h=")) {
        read_header(told, p, value, bytes);
    } else if (IS("size=")) {
        size_t size = strtoul(value, NULL, 10);
        assert_true(size >= p->body.bytes);
        char *filler = remember(told, size + 1);
        memset(filler, '.', size);
        memcpy(filler, p->body.data, p->body.bytes);
        p->body = (struct view){filler, size};
    } else if (IS("wrong=")) {
        told->refused[told->count] = ERR_BAD_REQUEST;
        told->which[told->count] = "wrong";
    } else {
        fail_msg("what is %s", key);
    }
#undef IS
}

/* body,key=value,... */
static void read_message(struct told *told, const char *word)
{
    struct publication *p = &told->items[told->count];
    *p = (struct publication){.delay_ms = NO_NUMBER, .ttl_ms = NO_NUMBER};
    told->refused[told->count] = ERR_NONE;
    told->which[told->count] = NULL;
    size_t bytes = strcspn(word, ",");
    p->body = (struct view){word, bytes};
    while (word[bytes] == ',') {
        word += bytes + 1;
        bytes = strcspn(word, ",");
        const char *equals = memchr(word, '=', bytes);
        assert_non_null(equals);
        read_item(told, p, word, equals + 1, bytes - (size_t)(equals + 1 - word));
    }
    told->count++;
}

/* Words that belong to the call and not to its messages. */
static bool of_call(const char *word)
{
    return strcmp(word, "atomic") == 0 || strcmp(word, "mandatory") == 0 || strncmp(word, "wait=", 5) == 0;
}

void told_read(struct story *s, int first, int last, struct told *told)
{
    told->count = told->memory_count = 0;
    for (int i = first; i < last; i++)
        if (!of_call(s->words[i]))
            read_message(told, s->words[i]);
}

void told_free(struct told *told)
{
    for (uint32_t i = 0; i < told->memory_count; i++)
        free(told->memory[i]);
}

static bool is_bare(const struct publication *p)
{
    return p->group.bytes == 0 && p->dedup_id.bytes == 0 && p->headers.bytes == 0 && p->delay_ms == NO_NUMBER &&
           p->ttl_ms == NO_NUMBER && p->priority == 0;
}

/* As a door would hand them over: bodies if there is no more to say, and what is wrong only if something is. */
struct publications told_view(struct told *told)
{
    bool wrong = false, bare = true;
    for (uint32_t i = 0; i < told->count; i++) {
        told->bodies[i] = told->items[i].body;
        wrong = wrong || told->refused[i] != ERR_NONE;
        bare = bare && is_bare(&told->items[i]);
    }
    if (bare && !wrong)
        return (struct publications){.bodies = told->bodies, .count = told->count};
    return (struct publications){.items = told->items,
                                 .count = told->count,
                                 .refused = wrong ? told->refused : NULL,
                                 .which = wrong ? told->which : NULL};
}

/* ---- filters ----------------------------------------------------------------------------------------------------- */

static struct header scalar(const char *text)
{
    struct header h = {.kind = HEADER_TEXT, .bytes = {text, strlen(text)}};
    if (*text && strspn(text, "0123456789") == strlen(text)) {
        h.kind = HEADER_UINT;
        h.number = strtoull(text, NULL, 10);
    }
    return h;
}

size_t word_filter(const char *word, uint8_t *out, size_t room)
{
    static struct filter_builder builder;
    struct filter_test test = {.op = FILTER_EQUAL, .count = 1};
    size_t key_bytes = strcspn(word, ":");
    assert_int_equal(word[key_bytes], ':');
    const char *rest = word + key_bytes + 1, *value = strchr(rest, ':');
    filter_begin(&builder);
    assert_true(filter_add_key(&builder, (struct view){word, key_bytes}, 1));
    if (!value) {
        test.value = scalar(rest);
    } else if (strncmp(rest, "exists:", 7) == 0) {
        test.op = FILTER_EXISTS;
        test.value.kind = strcmp(value, ":true") == 0 ? HEADER_TRUE : HEADER_FALSE;
    } else if (strncmp(rest, "prefix:", 7) == 0) {
        test.op = FILTER_PREFIX;
        test.value = (struct header){.kind = HEADER_TEXT, .bytes = {value + 1, strlen(value + 1)}};
    } else {
        assert_memory_equal(rest, "anything-but:", 13);
        test.op = FILTER_ANYTHING_BUT;
        assert_true(filter_add_test(&builder, &test));
        test = (struct filter_test){.op = FILTER_EQUAL, .value = scalar(value + 1)};
    }
    assert_true(filter_add_test(&builder, &test));
    assert_int_equal(builder.refusal, FILTER_FINE);
    assert_true(builder.bytes <= room);
    filter_store(&builder, out);
    return builder.bytes;
}

/* ---- deliveries -------------------------------------------------------------------------------------------------- */

/* The receipt of the last delivery of message `word` ("id" or "id#attempt") of that queue. */
static uint64_t receipt_of(const struct story *s, const char *queue, const char *word)
{
    char *end;
    uint64_t id = strtoull(word, &end, 10);
    uint32_t attempt = *end == '#' ? (uint32_t)strtoul(end + 1, NULL, 10) : 0;
    for (size_t i = s->seen_count; i > 0; i--) {
        const struct seen *seen = &s->seen[i - 1];
        if (seen->id == id && strcmp(seen->queue, queue) == 0 && (attempt == 0 || seen->attempt == attempt))
            return seen->receipt;
    }
    return 0; /* never seen: as stale as can be */
}

uint32_t word_receipts(struct story *s, const char *queue, int first, int last, uint64_t *out)
{
    uint32_t count = 0;
    for (int i = first; i < last; i++)
        if (s->words[i][0] >= '0' && s->words[i][0] <= '9')
            out[count++] = receipt_of(s, queue, s->words[i]);
    return count;
}
