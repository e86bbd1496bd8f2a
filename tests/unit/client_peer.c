#include "tests/unit/client_peer.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- text and bytes that grow ---- */

struct bytes {
    uint8_t *data;
    size_t count;
    size_t cap;
};

static void put(struct bytes *to, const void *data, size_t count)
{
    if (to->count + count + 1 > to->cap) {
        to->cap = (to->count + count + 1) * 2;
        to->data = realloc(to->data, to->cap);
        assert_non_null(to->data);
    }
    if (count > 0)
        memcpy(to->data + to->count, data, count);
    to->count += count;
    to->data[to->count] = 0;
}

static void put_text(struct bytes *to, const char *text)
{
    put(to, text, strlen(text));
}

static void __attribute__((format(printf, 2, 3))) put_format(struct bytes *to, const char *format, ...)
{
    char text[64];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    put_text(to, text);
}

/* Big-endian. */
static void put_number(struct bytes *to, uint64_t value, unsigned width)
{
    while (width-- > 0) {
        uint8_t byte = (uint8_t)(value >> (8 * width));
        put(to, &byte, 1);
    }
}

/* ---- text to MessagePack ---- */

static const char *encode_value(struct bytes *to, const char *text);

static const char *skip_blanks(const char *text)
{
    return text + strspn(text, " \n");
}

static const char *encode_elements(struct bytes *to, const char *text, char end)
{
    struct bytes inner = {0};
    uint32_t count = 0;
    bool map = end == '}';
    text = skip_blanks(text);
    while (*text != end) {
        text = encode_value(&inner, text);
        text = skip_blanks(text);
        count++;
        if (*text == ',' || (map && *text == ':'))
            text = skip_blanks(text + 1);
        else
            assert_int_equal(*text, end);
    }
    if (map)
        count /= 2;
    put_number(to, map ? 0xdf : 0xdd, 1); /* map 32, array 32: as good as the shortest form */
    put_number(to, count, 4);
    put(to, inner.data, inner.count);
    free(inner.data);
    return text + 1;
}

static const char *encode_quoted(struct bytes *to, const char *text, bool bin)
{
    const char *end = strchr(text, '"');
    assert_non_null(end);
    size_t count = (size_t)(end - text);
    put_number(to, bin ? 0xc6 : 0xdb, 1);
    put_number(to, count, 4);
    put(to, text, count);
    return end + 1;
}

static const char *encode_digits(struct bytes *to, const char *text)
{
    char *end;
    size_t digits = strspn(text, "-0123456789");
    if (text[digits] == '.') {
        double value = strtod(text, &end);
        uint64_t bits;
        memcpy(&bits, &value, sizeof(bits));
        put_number(to, 0xcb, 1);
        put_number(to, bits, 8);
    } else if (*text == '-') {
        put_number(to, 0xd3, 1);
        put_number(to, (uint64_t)strtoll(text, &end, 10), 8);
    } else {
        put_number(to, 0xcf, 1);
        put_number(to, strtoull(text, &end, 10), 8);
    }
    assert_ptr_not_equal(end, text);
    return end;
}

static const char *encode_value(struct bytes *to, const char *text)
{
    text = skip_blanks(text);
    if (*text == '[')
        return encode_elements(to, text + 1, ']');
    if (*text == '{')
        return encode_elements(to, text + 1, '}');
    if (*text == '"')
        return encode_quoted(to, text + 1, false);
    if (*text == '#')
        return encode_quoted(to, text + 2, true);
    if (strncmp(text, "nil", 3) == 0) {
        put_number(to, 0xc0, 1);
        return text + 3;
    }
    if (strncmp(text, "true", 4) == 0) {
        put_number(to, 0xc3, 1);
        return text + 4;
    }
    if (strncmp(text, "false", 5) == 0) {
        put_number(to, 0xc2, 1);
        return text + 5;
    }
    return encode_digits(to, text);
}

uint8_t *peer_encode(const char *text, size_t *bytes)
{
    struct bytes to = {0};
    const char *end = encode_value(&to, text);
    assert_string_equal(skip_blanks(end), "");
    *bytes = to.count;
    return to.data;
}

/* ---- MessagePack to text ---- */

/* Reading position; `short_of` is set when bytes are missing. */
struct reader {
    const uint8_t *at;
    const uint8_t *end;
    bool short_of;
};

static uint64_t take_number(struct reader *from, unsigned width)
{
    uint64_t value = 0;
    if ((size_t)(from->end - from->at) < width) {
        from->short_of = true;
        return 0;
    }
    while (width-- > 0)
        value = value << 8 | *from->at++;
    return value;
}

static void decode_value(struct bytes *to, struct reader *from);

static void decode_elements(struct bytes *to, struct reader *from, uint64_t count, bool map)
{
    put_text(to, map ? "{" : "[");
    for (uint64_t i = 0; i < count && !from->short_of; i++) {
        put_text(to, i > 0 ? ", " : "");
        decode_value(to, from);
        if (!map)
            continue;
        put_text(to, ": ");
        decode_value(to, from);
    }
    put_text(to, map ? "}" : "]");
}

static void decode_quoted(struct bytes *to, struct reader *from, uint64_t count, const char *mark)
{
    if ((uint64_t)(from->end - from->at) < count) {
        from->short_of = true;
        return;
    }
    put_text(to, mark);
    put_text(to, "\"");
    put(to, from->at, count);
    put_text(to, "\"");
    from->at += count;
}

static void decode_double(struct bytes *to, uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof(value));
    put_format(to, "%g", value);
    if (to->data[to->count - 1] != '.' && strpbrk((const char *)to->data, ".") == NULL)
        put_text(to, ".0");
}

static void decode_signed(struct bytes *to, struct reader *from, unsigned width)
{
    uint64_t value = take_number(from, width) << (64 - 8 * width);
    put_format(to, "%lld", (long long)value >> (64 - 8 * width));
}

static void decode_value(struct bytes *to, struct reader *from)
{
    uint8_t head = (uint8_t)take_number(from, 1);
    if (from->short_of)
        return;
    if (head < 0x80)
        put_format(to, "%u", head);
    else if (head < 0x90)
        decode_elements(to, from, head & 0x0f, true);
    else if (head < 0xa0)
        decode_elements(to, from, head & 0x0f, false);
    else if (head < 0xc0)
        decode_quoted(to, from, head & 0x1f, "");
    else if (head >= 0xe0)
        put_format(to, "%d", (int8_t)head);
    else if (head == 0xc0)
        put_text(to, "nil");
    else if (head == 0xc2 || head == 0xc3)
        put_text(to, head == 0xc3 ? "true" : "false");
    else if (head >= 0xc4 && head <= 0xc6)
        decode_quoted(to, from, take_number(from, 1U << (head - 0xc4)), "#");
    else if (head == 0xcb)
        decode_double(to, take_number(from, 8));
    else if (head >= 0xcc && head <= 0xcf)
        put_format(to, "%llu", (unsigned long long)take_number(from, 1U << (head - 0xcc)));
    else if (head >= 0xd0 && head <= 0xd3)
        decode_signed(to, from, 1U << (head - 0xd0));
    else if (head >= 0xd9 && head <= 0xdb)
        decode_quoted(to, from, take_number(from, 1U << (head - 0xd9)), "");
    else if (head == 0xdc || head == 0xdd)
        decode_elements(to, from, take_number(from, head == 0xdc ? 2 : 4), false);
    else if (head == 0xde || head == 0xdf)
        decode_elements(to, from, take_number(from, head == 0xde ? 2 : 4), true);
    else
        fail_msg("byte %02x: not MessagePack that a client sends", head);
}

static void value_write(struct bytes *to, struct ringmq_value value)
{
    struct ringmq_value key;
    struct ringmq_value element;
    struct ringmq_iterator it = ringmq_iterate(value);
    struct ringmq_bytes bytes = ringmq_value_bytes(value);
    bool map = ringmq_value_type(value) == RINGMQ_MAP;
    switch (ringmq_value_type(value)) {
    case RINGMQ_NONE:
        put_text(to, "none");
        break;
    case RINGMQ_NIL:
        put_text(to, "nil");
        break;
    case RINGMQ_BOOL:
        put_text(to, ringmq_value_bool(value, false) ? "true" : "false");
        break;
    case RINGMQ_UINT:
        put_format(to, "%llu", (unsigned long long)ringmq_value_uint(value, 0));
        break;
    case RINGMQ_INT:
        put_format(to, "%lld", (long long)ringmq_value_int(value, 0));
        break;
    case RINGMQ_DOUBLE:
        put_format(to, "%g", ringmq_value_double(value, 0));
        break;
    case RINGMQ_STR:
    case RINGMQ_BIN:
        put_text(to, ringmq_value_type(value) == RINGMQ_BIN ? "#\"" : "\"");
        put(to, bytes.data, bytes.bytes);
        put_text(to, "\"");
        break;
    case RINGMQ_EXT:
        put_text(to, "ext");
        break;
    case RINGMQ_ARRAY:
    case RINGMQ_MAP:
        put_text(to, map ? "{" : "[");
        for (uint32_t i = 0; ringmq_next(&it, &key, &element); i++) {
            put_text(to, i > 0 ? ", " : "");
            if (map) {
                value_write(to, key);
                put_text(to, ": ");
            }
            value_write(to, element);
        }
        put_text(to, map ? "}" : "]");
        break;
    }
}

char *peer_value_text(struct ringmq_value value)
{
    struct bytes to = {0};
    value_write(&to, value);
    return (char *)to.data;
}

/* ---- the socket ---- */

void peer_open(struct peer *peer)
{
    *peer = (struct peer){.fd = -1};
    strcpy(peer->directory, "/tmp/ringmq-client-XXXXXX");
    assert_non_null(mkdtemp(peer->directory));
    snprintf(peer->path, sizeof(peer->path), "%s/socket", peer->directory);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, peer->path, strlen(peer->path) + 1);
    peer->listener = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_true(peer->listener >= 0);
    assert_int_equal(bind(peer->listener, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(peer->listener, 16), 0);
}

void peer_hangs_up(struct peer *peer)
{
    if (peer->fd >= 0)
        close(peer->fd);
    peer->fd = -1;
    peer->heard_bytes = 0;
}

void peer_close(struct peer *peer)
{
    peer_hangs_up(peer);
    close(peer->listener);
    unlink(peer->path);
    rmdir(peer->directory);
    free(peer->heard);
    free(peer->text);
}

void peer_accept(struct peer *peer)
{
    peer_hangs_up(peer);
    peer->fd = accept(peer->listener, NULL, NULL);
    assert_true(peer->fd >= 0);
}

void peer_sends(struct peer *peer, const void *bytes, size_t count)
{
    assert_int_equal(send(peer->fd, bytes, count, MSG_NOSIGNAL), count);
}

void peer_says(struct peer *peer, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *text;
    assert_true(vasprintf(&text, format, args) >= 0);
    va_end(args);
    size_t count;
    uint8_t *bytes = peer_encode(text, &count);
    peer_sends(peer, bytes, count);
    free(bytes);
    free(text);
}

void peer_answers(struct peer *peer, const char *result)
{
    peer_says(peer, "[1, %u, nil, %s]", peer->next_token++, result);
}

void peer_refuses(struct peer *peer, const char *error)
{
    peer_says(peer, "[1, %u, %s, nil]", peer->next_token++, error);
}

/* Reads what has arrived. */
static void peer_listen(struct peer *peer)
{
    for (;;) {
        if (peer->heard_cap - peer->heard_bytes < 65536) {
            peer->heard_cap = peer->heard_cap * 2 + 65536;
            peer->heard = realloc(peer->heard, peer->heard_cap);
            assert_non_null(peer->heard);
        }
        ssize_t n = recv(peer->fd, peer->heard + peer->heard_bytes, peer->heard_cap - peer->heard_bytes, MSG_DONTWAIT);
        if (n <= 0)
            return;
        peer->heard_bytes += (size_t)n;
    }
}

const char *peer_hears(struct peer *peer)
{
    struct bytes to = {0};
    peer_listen(peer);
    struct reader from = {peer->heard, peer->heard + peer->heard_bytes, false};
    decode_value(&to, &from);
    if (from.short_of)
        fail_msg("the client has sent no complete value");
    peer->heard_bytes = (size_t)(from.end - from.at);
    memmove(peer->heard, from.at, peer->heard_bytes);
    free(peer->text);
    peer->text = (char *)to.data;
    return peer->text;
}

const char *peer_hears_call(struct peer *peer)
{
    const char *text = peer_hears(peer);
    assert_memory_equal(text, "[0, ", 4);
    char *call = strchr(text + 4, ',');
    assert_non_null(call);
    call += 2;
    call[strlen(call) - 1] = '\0';
    return call;
}

bool peer_has_more(struct peer *peer)
{
    peer_listen(peer);
    return peer->heard_bytes > 0;
}

void peer_hears_nothing(struct peer *peer)
{
    assert_false(peer_has_more(peer));
}

/* ---- clients ---- */

struct ringmq *peer_client(struct peer *peer, const struct ringmq_options *options)
{
    struct ringmq_options mine = {0};
    if (options != NULL)
        mine = *options;
    mine.socket_path = peer->path;
    struct ringmq *conn = ringmq_new(&mine);
    assert_non_null(conn);
    return conn;
}

void peer_greet(struct peer *peer, struct ringmq *conn)
{
    peer_accept(peer);
    while (ringmq_output_bytes(conn) > 0)
        assert_int_equal(ringmq_poll(conn, 1000), RINGMQ_OK);
    const char *hello = peer_hears(peer);
    peer->next_token = (uint32_t)strtoul(hello + 4, NULL, 10);
    peer_answers(peer, PEER_HELLO);
    while (ringmq_state(conn) != RINGMQ_READY)
        assert_int_equal(ringmq_poll(conn, 1000), RINGMQ_OK);
}

struct ringmq *peer_ready_client(struct peer *peer, const struct ringmq_options *options)
{
    struct ringmq *conn = peer_client(peer, options);
    assert_int_equal(ringmq_start(conn), RINGMQ_OK);
    peer_greet(peer, conn);
    return conn;
}
