/* The client's endpoint: what a URL or options mean, and what is refused with a reason. */
#include "client/endpoint.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

struct row {
    const char *url;
    const char *host;
    const char *path;
    unsigned port;
    const char *user;
    const char *password;
    const char *text;
};

static void assert_text(const char *has, const char *wants)
{
    if (wants == NULL)
        assert_null(has);
    else
        assert_string_equal(has, wants);
}

static const struct row good_urls[] = {
    {"ringmq://127.0.0.1", "127.0.0.1", NULL, 7464, NULL, NULL, "127.0.0.1:7464"},
    {"ringmq://queue.example:99/", "queue.example", NULL, 99, NULL, NULL, "queue.example:99"},
    {"ringmq://[::1]:7465", "::1", NULL, 7465, NULL, NULL, "[::1]:7465"},
    {"ringmq://[fe80::1]", "fe80::1", NULL, 7464, NULL, NULL, "[fe80::1]:7464"},
    {"ringmq://ann:secret@h:1", "h", NULL, 1, "ann", "secret", "h:1"},
    {"ringmq://ann@h:65535", "h", NULL, 65535, "ann", NULL, "h:65535"},
    {"ringmq://a%40b:p%3aq%2F%25@h", "h", NULL, 7464, "a@b", "p:q/%", "h:7464"},
    {"ringmq://a:p@q:r@h", "h", NULL, 7464, "a", "p@q:r", "h:7464"},
    {"ringmq://:@h", "h", NULL, 7464, "", "", "h:7464"},
    {"ringmq+unix:///run/ringmq.sock", NULL, "/run/ringmq.sock", 7464, NULL, NULL, "/run/ringmq.sock"},
    {"ringmq+unix://u:p@/run/a%20b", NULL, "/run/a b", 7464, "u", "p", "/run/a b"},
};

static void a_url_names_host_port_path_user_and_password(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(good_urls) / sizeof(good_urls[0]); i++) {
        const struct row *row = &good_urls[i];
        struct ringmq_options options = {.url = row->url, .host = "unused", .port = 1, .user = "unused"};
        struct endpoint endpoint;
        const char *reason = NULL;
        assert_int_equal(endpoint_init(&endpoint, &options, &reason), RINGMQ_OK);
        assert_text(endpoint.host, row->host);
        assert_text(endpoint.path, row->path);
        assert_int_equal(endpoint.port, row->port);
        assert_text(endpoint.user, row->user);
        assert_text(endpoint.password, row->password);
        assert_text(endpoint.text, row->text);
        endpoint_close(&endpoint);
    }
}

static void a_url_that_makes_no_sense_is_refused_with_a_reason(void **state)
{
    (void)state;
    static const char *urls[] = {
        "",
        "127.0.0.1",
        "http://h",
        "ringmq:/h",
        "ringmq://",
        "ringmq://:7464",
        "ringmq://h:",
        "ringmq://h:0",
        "ringmq://h:65536",
        "ringmq://h:99999999999999999999999",
        "ringmq://h:12x",
        "ringmq://h/path",
        "ringmq://[::1",
        "ringmq://[]:1",
        "ringmq://[::1]x",
        "ringmq://u@",
        "ringmq://a%4@h",
        "ringmq://a%zz@h",
        "ringmq://a%00@h",
        "ringmq://h%",
        "ringmq+unix://",
        "ringmq+unix:///",
        "ringmq+unix://host/path",
        "ringmq+unix://relative",
        "ringmq+unix:///"
        "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"
        "0123456789",
    };
    for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
        struct ringmq_options options = {.url = urls[i]};
        struct ringmq *conn = ringmq_new(&options);
        assert_non_null(conn);
        assert_int_equal(ringmq_start(conn), RINGMQ_ERR_ARGUMENT);
        assert_true(strlen(ringmq_error_text(conn)) > 10);
        assert_int_equal(ringmq_connect(conn, 0), RINGMQ_ERR_ARGUMENT);
        assert_int_equal(ringmq_state(conn), RINGMQ_CLOSED);
        ringmq_free(conn);
    }
}

static void options_without_a_url_have_defaults(void **state)
{
    (void)state;
    struct ringmq *conn = ringmq_new(NULL);
    assert_string_equal(ringmq_endpoint(conn), "127.0.0.1:7464");
    ringmq_free(conn);

    conn = ringmq_new(&(struct ringmq_options){.host = "::1", .port = 5});
    assert_string_equal(ringmq_endpoint(conn), "[::1]:5");
    ringmq_free(conn);

    conn = ringmq_new(&(struct ringmq_options){.host = "h", .socket_path = "/run/s"});
    assert_string_equal(ringmq_endpoint(conn), "/run/s");
    ringmq_free(conn);
}

static void options_out_of_range_are_refused(void **state)
{
    (void)state;
    char name[130];
    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    const struct ringmq_options options[] = {
        {.connect_timeout_ms = -2},   {.call_timeout_ms = -5}, {.max_value_bytes = 1ULL << 32},
        {.reconnect_min_ms = -1},     {.client_name = name},   {.reconnect_min_ms = 50, .reconnect_max_ms = 49},
        {.reconnect_min_ms = 999999},
    };
    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        struct ringmq *conn = ringmq_new(&options[i]);
        assert_int_equal(ringmq_start(conn), RINGMQ_ERR_ARGUMENT);
        ringmq_free(conn);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_url_names_host_port_path_user_and_password),
        cmocka_unit_test(a_url_that_makes_no_sense_is_refused_with_a_reason),
        cmocka_unit_test(options_without_a_url_have_defaults),
        cmocka_unit_test(options_out_of_range_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
