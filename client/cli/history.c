#include "client/cli/history.h"

#include "client/cli/memory.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char *path_choose(void)
{
    const char *chosen = getenv("RINGMQ_HISTORY");
    const char *home = getenv("HOME");
    char *path = NULL;

    if (chosen != NULL)
        return chosen[0] == '\0' ? NULL : text_copy(chosen, strlen(chosen));
    if (home == NULL || home[0] == '\0' || asprintf(&path, "%s/.ringmq_history", home) < 0)
        return NULL;
    return path;
}

/* Opens the file for its owner alone, also if it has been readable by others. */
static FILE *file_open(const char *path, int flags, const char *mode)
{
    struct stat about;
    int fd = open(path, flags | O_CLOEXEC | O_NOCTTY, 0600);

    if (fd < 0)
        return NULL;
    bool regular = fstat(fd, &about) == 0 && S_ISREG(about.st_mode);
    if (regular && (about.st_mode & 0077) != 0 && fchmod(fd, 0600) != 0)
        regular = false;
    FILE *file = regular ? fdopen(fd, mode) : NULL;
    if (file == NULL)
        close(fd);
    return file;
}

/* Replaces the file by its last HISTORY_LINES lines, of `count`. */
static void file_cut(const char *path, FILE *file, size_t count)
{
    char *line = NULL, *beside = NULL;
    size_t room = 0;
    ssize_t bytes;

    if (asprintf(&beside, "%s.%ld", path, (long)getpid()) < 0)
        return;
    FILE *out = file_open(beside, O_WRONLY | O_CREAT | O_EXCL, "w");
    if (out != NULL) {
        rewind(file);
        while ((bytes = getline(&line, &room, file)) > 0) {
            if (count-- <= HISTORY_LINES)
                fwrite(line, 1, (size_t)bytes, out);
        }
        bool written = ferror(out) == 0;
        if (fclose(out) != 0 || !written || rename(beside, path) != 0)
            unlink(beside);
    }
    free(line);
    free(beside);
}

/* Reads the file into `lines` (unless NULL), and cuts it if it has become too long. */
static void file_read(const char *path, History *lines)
{
    FILE *file = file_open(path, O_RDONLY, "r");
    HistEvent event;
    char *line = NULL;
    size_t room = 0, count = 0;

    if (file == NULL)
        return;
    while (getline(&line, &room, file) > 0) {
        count++;
        line[strcspn(line, "\n")] = '\0';
        if (lines != NULL && line[0] != '\0')
            history(lines, &event, H_ENTER, line);
    }
    if (count > HISTORY_LINES)
        file_cut(path, file, count);
    free(line);
    fclose(file);
}

bool line_history_init(struct line_history *h)
{
    HistEvent event;

    *h = (struct line_history){history_init(), NULL};
    if (h->lines == NULL)
        return false;
    history(h->lines, &event, H_SETSIZE, HISTORY_LINES);
    history(h->lines, &event, H_SETUNIQUE, 1);
    h->path = path_choose();
    if (h->path != NULL)
        file_read(h->path, h->lines);
    return true;
}

void line_history_add(struct line_history *h, const char *line)
{
    size_t bytes = strcspn(line, "\r\n");
    HistEvent event;

    if (strspn(line, " \t") >= bytes || line_is_secret(line))
        return;
    char *text = text_copy(line, bytes);
    history(h->lines, &event, H_ENTER, text);
    FILE *file = h->path == NULL ? NULL : file_open(h->path, O_WRONLY | O_CREAT | O_APPEND, "a");
    if (file != NULL) {
        fprintf(file, "%s\n", text);
        fclose(file);
    }
    free(text);
}

void line_history_close(struct line_history *h)
{
    if (h->path != NULL)
        file_read(h->path, NULL);
    if (h->lines != NULL)
        history_end(h->lines);
    free(h->path);
    *h = (struct line_history){NULL, NULL};
}

bool line_is_secret(const char *line)
{
    if (strcasestr(line, "password") != NULL)
        return true;
    for (const char *at = strstr(line, "://"); at != NULL; at = strstr(at, "://")) {
        at += 3;
        size_t user = strcspn(at, ":@ \t");
        if (at[user] == ':' && strchr(at + user, '@') != NULL)
            return true;
    }
    return false;
}
