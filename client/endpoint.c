#include "client/endpoint.h"

#include "protocol/limits.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* Copies [from, to) with %XX replaced. Zero bytes can't be part of any of the texts, so %00 is refused too. */
static int text_unescape(const char *from, const char *to, char **out, const char **reason)
{
    char *text = malloc((size_t)(to - from) + 1);
    if (text == NULL)
        return RINGMQ_ERR_NO_MEMORY;
    size_t n = 0;
    while (from < to) {
        int c = (unsigned char)*from++;
        if (c == '%') {
            int high = from < to ? hex_digit(from[0]) : -1;
            int low = high >= 0 && to - from >= 2 ? hex_digit(from[1]) : -1;
            c = high * 16 + low;
            if (low < 0 || c == 0) {
                free(text);
                *reason = "a % in the url is not followed by two hexadecimal digits above 00";
                return RINGMQ_ERR_ARGUMENT;
            }
            from += 2;
        }
        text[n++] = (char)c;
    }
    text[n] = '\0';
    *out = text;
    return RINGMQ_OK;
}

static int text_copy(const char *text, char **out)
{
    if (text == NULL)
        return RINGMQ_OK;
    *out = strdup(text);
    return *out == NULL ? RINGMQ_ERR_NO_MEMORY : RINGMQ_OK;
}

static int port_parse(const char *from, const char *to, uint16_t *port, const char **reason)
{
    unsigned long value = 0;
    for (const char *p = from; p < to; p++) {
        value = *p >= '0' && *p <= '9' && value <= UINT16_MAX ? value * 10 + (unsigned long)(*p - '0') : UINT32_MAX;
    }
    if (from == to || value == 0 || value > UINT16_MAX) {
        *reason = "the port in the url is not a number from 1 to 65535";
        return RINGMQ_ERR_ARGUMENT;
    }
    *port = (uint16_t)value;
    return RINGMQ_OK;
}

/* user[:password] in [from, to). */
static int url_parse_user(struct endpoint *endpoint, const char *from, const char *to, const char **reason)
{
    const char *colon = memchr(from, ':', (size_t)(to - from));
    int status = text_unescape(from, colon == NULL ? to : colon, &endpoint->user, reason);
    if (status == RINGMQ_OK && colon != NULL)
        status = text_unescape(colon + 1, to, &endpoint->password, reason);
    return status;
}

/* host[:port] in [from, to). */
static int url_parse_host(struct endpoint *endpoint, const char *from, const char *to, const char **reason)
{
    const char *host = from;
    const char *host_end;
    const char *rest;
    if (from < to && *from == '[') {
        host++;
        host_end = memchr(host, ']', (size_t)(to - host));
        if (host_end == NULL) {
            *reason = "the url has a [ without a ]";
            return RINGMQ_ERR_ARGUMENT;
        }
        rest = host_end + 1;
    } else {
        host_end = memchr(host, ':', (size_t)(to - host));
        if (host_end == NULL)
            host_end = to;
        rest = host_end;
    }
    if (host == host_end || (rest < to && *rest != ':')) {
        *reason = "the url names no host";
        return RINGMQ_ERR_ARGUMENT;
    }
    int status = text_unescape(host, host_end, &endpoint->host, reason);
    if (status == RINGMQ_OK && rest < to)
        status = port_parse(rest + 1, to, &endpoint->port, reason);
    return status;
}

static int url_parse(struct endpoint *endpoint, const char *url, const char **reason)
{
    static const char tcp_scheme[] = "ringmq://";
    static const char unix_scheme[] = "ringmq+unix://";
    bool tcp = strncmp(url, tcp_scheme, sizeof(tcp_scheme) - 1) == 0;
    if (!tcp && strncmp(url, unix_scheme, sizeof(unix_scheme) - 1) != 0) {
        *reason = "the url does not begin with ringmq:// or ringmq+unix://";
        return RINGMQ_ERR_ARGUMENT;
    }
    const char *at = url + (tcp ? sizeof(tcp_scheme) : sizeof(unix_scheme)) - 1;
    const char *path = strchr(at, '/');
    const char *end = path == NULL ? at + strlen(at) : path;

    const char *host = at;
    for (const char *p = at; p < end; p++) {
        if (*p == '@')
            host = p + 1;
    }
    int status = host == at ? RINGMQ_OK : url_parse_user(endpoint, at, host - 1, reason);
    if (status != RINGMQ_OK)
        return status;
    if (!tcp && (path == NULL || path[1] == '\0' || host != end)) {
        *reason = "a ringmq+unix:// url is followed by a path that begins with /";
        return RINGMQ_ERR_ARGUMENT;
    }
    if (!tcp)
        return text_unescape(path, path + strlen(path), &endpoint->path, reason);
    if (path != NULL && path[1] != '\0') {
        *reason = "a ringmq:// url ends after the port";
        return RINGMQ_ERR_ARGUMENT;
    }
    return url_parse_host(endpoint, host, end, reason);
}

static int options_parse(struct endpoint *endpoint, const struct ringmq_options *options)
{
    if (options->port != 0)
        endpoint->port = options->port;
    bool tcp = options->socket_path == NULL;
    int status = tcp ? text_copy(options->host == NULL ? "127.0.0.1" : options->host, &endpoint->host)
                     : text_copy(options->socket_path, &endpoint->path);
    if (status == RINGMQ_OK)
        status = text_copy(options->user, &endpoint->user);
    if (status == RINGMQ_OK)
        status = text_copy(options->password, &endpoint->password);
    return status;
}

int endpoint_init(struct endpoint *endpoint, const struct ringmq_options *options, const char **reason)
{
    *endpoint = (struct endpoint){.port = PROTOCOL_PORT};
    int status = options->url != NULL ? url_parse(endpoint, options->url, reason) : options_parse(endpoint, options);
    if (status != RINGMQ_OK)
        return status;
    if (endpoint->path != NULL) {
        if (strlen(endpoint->path) >= sizeof(((struct sockaddr_un *)NULL)->sun_path)) {
            *reason = "the path of the Unix socket is too long";
            return RINGMQ_ERR_ARGUMENT;
        }
        return text_copy(endpoint->path, &endpoint->text);
    }
    size_t bytes = strlen(endpoint->host) + sizeof("[]:65535");
    endpoint->text = malloc(bytes);
    if (endpoint->text == NULL)
        return RINGMQ_ERR_NO_MEMORY;
    const char *format = strchr(endpoint->host, ':') != NULL ? "[%s]:%u" : "%s:%u";
    snprintf(endpoint->text, bytes, format, endpoint->host, (unsigned)endpoint->port);
    return RINGMQ_OK;
}

void endpoint_close(struct endpoint *endpoint)
{
    free(endpoint->host);
    free(endpoint->path);
    free(endpoint->user);
    free(endpoint->password);
    free(endpoint->text);
    *endpoint = (struct endpoint){0};
}
