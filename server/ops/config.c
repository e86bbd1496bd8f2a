#include "server/ops/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Bytes that belong to somebody else. */
struct view {
    const char *at;
    size_t bytes;
};

/* One source of values, a file or the flags, on its way into options. */
struct source {
    struct options *options;
    const char *name;               /* of the file; NULL: flags */
    unsigned line;                  /* of the file, from 1 */
    unsigned seen_at[OPTION_COUNT]; /* line of the first occurrence; 0: none yet */
};

/* ---- the file ---- */

/* Puts the position before the error that is there. */
static int fail_at(const struct source *s, int result, struct option_error *error)
{
    const struct option_error plain = *error;

    return option_fail(error, (enum option_result)result, "%.200s:%u: %.280s", s->name, s->line, plain.text);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/*
 * Cuts the next word off a line. 1: there is one; 0: end of the line, or a comment; OPTION_BAD_SYNTAX: a quote that
 * isn't closed or is followed by more text.
 */
static int next_word(struct view *line, struct view *word)
{
    const char *at = line->at;
    const char *end = line->at + line->bytes;

    while (at < end && is_blank(*at))
        at++;
    if (at == end || *at == '#')
        return 0;

    const char quote = *at == '"' || *at == '\'' ? *at : '\0';
    const char *start = quote != '\0' ? ++at : at;
    while (at < end && (quote != '\0' ? *at != quote : !is_blank(*at)))
        at++;
    *word = (struct view){start, (size_t)(at - start)};
    if (quote != '\0') {
        if (at == end || (at + 1 < end && !is_blank(at[1])))
            return OPTION_BAD_SYNTAX;
        at++;
    }
    *line = (struct view){at, (size_t)(end - at)};
    return 1;
}

/* Sets an option, or adds to a list that this source has already begun. */
static int take_value(struct source *s, enum option_id id, struct view value, struct option_error *error)
{
    const bool again = s->seen_at[id] != 0;

    if (!again)
        s->seen_at[id] = s->line;
    if (again && option_row(id)->type == OPTION_TYPE_LIST)
        return option_add(s->options, id, value.at, value.bytes, error);
    return option_set(s->options, id, value.at, value.bytes, error);
}

/* The values of a line whose key is known. */
static int take_values(struct source *s, enum option_id id, struct view rest, struct option_error *error)
{
    const struct option *row = option_row(id);
    const bool list = row->type == OPTION_TYPE_LIST;
    struct view value;
    unsigned count = 0;
    int found;

    if (!list && s->seen_at[id] != 0)
        return option_fail(error, OPTION_BAD_SYNTAX, "%s is already set in line %u", row->key, s->seen_at[id]);
    while ((found = next_word(&rest, &value)) == 1) {
        if (!list && count == 1)
            return option_fail(error, OPTION_BAD_SYNTAX, "%s takes one value; put one with blanks in quotes", row->key);
        const int result = take_value(s, id, value, error);
        if (result != OPTION_OK)
            return result;
        count++;
    }
    if (found < 0)
        return option_fail(error, OPTION_BAD_SYNTAX, "%s: a quote must end where the value ends", row->key);
    if (count == 0)
        return option_fail(error, OPTION_BAD_SYNTAX, "%s needs a value", row->key);
    return OPTION_OK;
}

static int take_line(struct source *s, struct view line, struct option_error *error)
{
    struct view key;

    if (line.bytes > CONFIG_LINE_BYTES)
        return option_fail(error, OPTION_BAD_SYNTAX, "the line is longer than %d bytes", CONFIG_LINE_BYTES);
    const int found = next_word(&line, &key);
    if (found == 0)
        return OPTION_OK;
    if (found < 0)
        return option_fail(error, OPTION_BAD_SYNTAX, "a quote is not closed");
    const enum option_id id = option_find(key.at, key.bytes);
    if (id == OPTION_COUNT)
        return option_fail_unknown(error, "", key.at, key.bytes);
    return take_values(s, id, line, error);
}

int config_parse(struct options *o, const char *name, const char *text, size_t bytes, struct option_error *error)
{
    struct options parsed = *o;
    struct source s = {.options = &parsed, .name = name};
    const char *at = text;
    const char *end = text + bytes;

    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        const char *stop = newline != NULL ? newline : end;
        struct view line = {at, (size_t)(stop - at)};
        if (line.bytes > 0 && line.at[line.bytes - 1] == '\r')
            line.bytes--;
        s.line++;
        const int result = take_line(&s, line, error);
        if (result != OPTION_OK)
            return fail_at(&s, result, error);
        at = newline != NULL ? newline + 1 : end;
    }
    *o = parsed;
    return OPTION_OK;
}

/* Reads at most `cap` bytes. Returns how many, or -1 with errno. */
static ssize_t read_file(const char *path, char *text, size_t cap)
{
    size_t used = 0;
    ssize_t n;

    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    do {
        n = read(fd, text + used, cap - used);
        if (n > 0)
            used += (size_t)n;
    } while ((n > 0 && used < cap) || (n < 0 && errno == EINTR));
    const int saved = errno;
    close(fd);
    errno = saved;
    return n < 0 ? -1 : (ssize_t)used;
}

static int parse_file(struct options *o, const char *path, struct option_error *error)
{
    const size_t cap = CONFIG_FILE_BYTES + 1;
    int result;

    char *text = malloc(cap);
    if (text == NULL)
        return option_fail(error, OPTION_UNREADABLE, "%.200s: %s", path, strerror(ENOMEM));
    const ssize_t bytes = read_file(path, text, cap);
    if (bytes < 0)
        result = option_fail(error, OPTION_UNREADABLE, "%.200s: %s", path, strerror(errno));
    else if ((size_t)bytes == cap)
        result = option_fail(error, OPTION_UNREADABLE, "%.200s: larger than %d bytes", path, CONFIG_FILE_BYTES);
    else
        result = config_parse(o, path, text, (size_t)bytes, error);
    free(text);
    return result;
}

/* ---- the flags ---- */

static bool is_flag(const char *arg)
{
    return arg[0] == '-' && arg[1] == '-';
}

/* The option that a flag's name means, dashes being as good as underscores; or OPTION_COUNT. */
static enum option_id find_flag(struct view name)
{
    char key[64];

    if (name.bytes >= sizeof key)
        return OPTION_COUNT;
    for (size_t i = 0; i < name.bytes; i++)
        key[i] = (char)(name.at[i] == '-' ? '_' : name.at[i]);
    return option_find(key, name.bytes);
}

/* What a flag without a value asks for; CONFIG_RUN if it is none of these. */
static enum config_action flag_action(const char *flag)
{
    if (strcmp(flag, "--help") == 0)
        return CONFIG_HELP;
    if (strcmp(flag, "--version") == 0)
        return CONFIG_VERSION;
    if (strcmp(flag, "--test-config") == 0 || strcmp(flag, "--test_config") == 0)
        return CONFIG_TEST;
    return CONFIG_RUN;
}

/* --help wins over --version, and that over --test-config. */
static enum config_action find_action(const struct config *c)
{
    enum config_action found = CONFIG_RUN;

    for (int i = 0; i < c->flag_count; i++) {
        const enum config_action action = flag_action(c->flags[i]);
        if (action != CONFIG_RUN && (found == CONFIG_RUN || action < found))
            found = action;
    }
    return found;
}

/* Takes one flag; `next` is the argument behind it or NULL. Returns how many arguments that took, or an error. */
static int take_flag(struct source *s, const char *flag, const char *next, struct option_error *error)
{
    if (!is_flag(flag))
        return option_fail(error, OPTION_BAD_SYNTAX,
                           "unexpected '%s': the file stands before all flags, and a flag is --key value",
                           option_show(flag, strlen(flag)).text);
    if (flag_action(flag) != CONFIG_RUN)
        return 1;

    const struct view name = {flag + 2, strcspn(flag + 2, "=")};
    const bool joined = name.at[name.bytes] == '=';
    const char *text = joined ? name.at + name.bytes + 1 : next;
    const enum option_id id = find_flag(name);
    if (id == OPTION_COUNT)
        return option_fail_unknown(error, "--", name.at, name.bytes);
    if (text == NULL || (!joined && is_flag(text)))
        return option_fail(error, OPTION_BAD_SYNTAX, "--%s needs a value", option_row(id)->key);

    const int result = take_value(s, id, (struct view){text, strlen(text)}, error);
    if (result != OPTION_OK) {
        const struct option_error plain = *error;
        return option_fail(error, (enum option_result)result, "--%.500s", plain.text);
    }
    return joined ? 1 : 2;
}

static int parse_flags(struct options *o, char *const *flags, int count, struct option_error *error)
{
    struct source s = {.options = o, .line = 1};

    for (int i = 0; i < count;) {
        const int taken = take_flag(&s, flags[i], i + 1 < count ? flags[i + 1] : NULL, error);
        if (taken < 0)
            return taken;
        i += taken;
    }
    return OPTION_OK;
}

/* ---- both ---- */

/* What file and flags of *c say now. */
static int read_all(const struct config *c, struct options *out, struct option_error *error)
{
    int result = OPTION_OK;

    options_init(out);
    if (c->path != NULL)
        result = parse_file(out, c->path, error);
    if (result == OPTION_OK)
        result = parse_flags(out, c->flags, c->flag_count, error);
    if (result == OPTION_OK)
        result = options_check(out, error);
    return result;
}

int config_load(struct config *c, int argc, char *const argv[], struct option_error *error)
{
    struct config loaded = {.action = CONFIG_RUN};
    const int first = argc > 0 ? 1 : 0;
    const bool has_path = argc > first && argv[first][0] != '-';

    loaded.path = has_path ? argv[first] : NULL;
    loaded.flags = argv + first + has_path;
    loaded.flag_count = argc - first - has_path;
    loaded.action = find_action(&loaded);
    if (loaded.action == CONFIG_HELP || loaded.action == CONFIG_VERSION) {
        options_init(&loaded.options);
    } else {
        const int result = read_all(&loaded, &loaded.options, error);
        if (result != OPTION_OK)
            return result;
    }
    *c = loaded;
    return OPTION_OK;
}

int config_reload(struct config *c, config_change_cb change_cb, void *user, struct option_error *error)
{
    struct options fresh;

    const int result = read_all(c, &fresh, error);
    if (result != OPTION_OK)
        return result;
    return config_apply(&c->options, &fresh, change_cb, user, error);
}

void config_print_help(FILE *out)
{
    fputs("usage: ringmq-server [FILE] [--key value ...]\n"
          "       ringmq-server --repair-log DIR --to NEWDIR\n"
          "       ringmq-server --copy-log DIR --to NEWDIR\n"
          "\n"
          "Starts a message queue server. FILE is a configuration file; flags win over it.\n"
          "\n"
          "  --help                 print this text\n"
          "  --version              print the version\n"
          "  --test-config          check file and flags, start nothing\n"
          "  --repair-log DIR       write what can be read of the damaged log in DIR to NEWDIR as a new log\n"
          "  --copy-log DIR         copy the log in DIR to NEWDIR, also while a server is using it\n"
          "\n"
          "Options, with their defaults; sizes as 64mb, times as 30s:\n",
          out);
    options_print_help(out);
}
