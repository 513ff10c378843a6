/*
 * Calls functions of the C library, and says itself what it gave them and got: "rebox-act: NUMBER NAME(PARAMETERS) = RESULT" lines, in the
 * order in which the calls ended, in the words of scripts/api_trace.ts.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MOST = 256, LONGEST = 256 };

static char lines[MOST][LONGEST];
static int used;
static jmp_buf place;

static void note(const char *format, ...)
{
    va_list values;

    if (used < MOST) {
        va_start(values, format);
        vsnprintf(lines[used++], LONGEST, format, values);
        va_end(values);
    }
}

static int compare(const void *one, const void *other)
{
    const char *const *a = one;
    const char *const *b = other;
    int result = strcmp(*a, *b);

    note("strcmp(\"%s\", \"%s\") = %d", *a, *b, result);
    return result;
}

static int escape(const void *one, const void *other)
{
    (void)one;
    (void)other;
    longjmp(place, 1);
}

int main(void)
{
    /* Volatile, or the compiler would know the answers itself. */
    const char *volatile letters = "sixteen letters!";
    const char *volatile other = "a cope";
    volatile size_t six = 6;
    const char *words[] = { "pear", "apple", "fig" };
    char bytes[64], text[64];
    char *copy, *value;
    struct stat facts;
    size_t length;
    ssize_t count;
    FILE *stream;
    int file, result;

    result = getpid();
    note("getpid() = %d", result);
    printf("rebox-guest: talker.pid=%d\n", result);
    result = setenv("REBOX_WORD", "a \"quoted\" word", 1);
    note("setenv(\"REBOX_WORD\", \"a \\\"quoted\\\" word\", 1) = %d", result);
    value = getenv("REBOX_WORD");
    note("getenv(\"REBOX_WORD\") = \"a \\\"quoted\\\" word\"");
    value = getenv("REBOX_NONE");
    note("getenv(\"REBOX_NONE\") = %s", value == NULL ? "NULL" : value);
    result = mkdir("/tmp/talker", 0750);
    note("mkdir(\"/tmp/talker\", 0750) = %d", result);
    file = open("/tmp/talker/file", O_RDWR | O_CREAT, 0640);
    note("open(\"/tmp/talker/file\", 0x%x, ...) = %d", O_RDWR | O_CREAT, file);
    count = write(file, "twelve\nbytes", 12);
    note("write(%d, \"twelve\\nbytes\", 12) = %zd", file, count);
    count = lseek(file, -5, SEEK_END);
    note("lseek(%d, -5, %d) = %zd", file, SEEK_END, count);
    count = read(file, bytes, sizeof(bytes));
    note("read(%d, \"bytes\", %zu) = %zd", file, sizeof(bytes), count);
    result = fstat(file, &facts);
    note("fstat(%d, %p) = %d", file, (void *)&facts, result);
    result = close(file);
    note("close(%d) = %d", file, result);
    result = close(file);
    note("close(%d) = %d", file, result);
    count = write(-1, "0123456789012345678901234567890123456789", 40);
    note("write(-1, \"01234567890123456789012345678901\"..., 40) = %zd", count);
    result = access("/tmp/nothing", R_OK);
    note("access(\"/tmp/nothing\", 04) = %d", result);
    stream = fopen("/tmp/talker/file", "r");
    note("fopen(\"/tmp/talker/file\", \"r\") = %p", (void *)stream);
    value = fgets(text, sizeof(text), stream);
    note("fgets(\"twelve\\n\", %zu, %p) = \"twelve\\n\"", sizeof(text), (void *)stream);
    result = fclose(stream);
    note("fclose(%p) = %d", (void *)stream, result);
    result = unlink("/tmp/talker/file");
    note("unlink(\"/tmp/talker/file\") = %d", result);
    result = rmdir("/tmp/talker");
    note("rmdir(\"/tmp/talker\") = %d", result);
    length = strlen(letters);
    note("strlen(\"sixteen letters!\") = %zu", length);
    copy = strdup(((const char *volatile[]){ "a copy" })[0]);
    note("strdup(\"a copy\") = \"a copy\"");
    result = memcmp(copy, other, six);
    note("memcmp(\"a copy\", \"a cope\", 6) = %d", result);
    value = malloc(1234);
    note("malloc(1234) = %p", (void *)value);
    free(value);
    note("free(%p)", (void *)value);
    result = (int)strtol("-0x1f rest", NULL, 0);
    note("strtol(\"-0x1f rest\", NULL, 0) = %d", result);
    result = snprintf(text, sizeof(text), "%s and %d", "text", 5);
    note("snprintf(\"text and 5\", %zu, \"%%s and %%d\", ...) = %d", sizeof(text), result);
    value = strchr(letters, 'l');
    note("strchr(\"sixteen letters!\", %d) = \"%s\"", 'l', value);
    qsort(words, 3, sizeof(*words), compare);
    note("qsort(%p, 3, %zu, %p)", (void *)words, sizeof(*words), (void *)(size_t)compare);
    if (setjmp(place) == 0) {
        qsort(words, 3, sizeof(*words), escape);
    }
    note("qsort(%p, 3, %zu, %p) = jumped over", (void *)words, sizeof(*words), (void *)(size_t)escape);
    result = usleep(1000);
    note("usleep(1000) = %d", result);
    for (int at = 0; at < used; at++) {
        printf("rebox-act: %d %s\n", at, lines[at]);
    }
    printf("rebox-guest: talker.acts=%d\n", used);
    fflush(stdout);
    exit(3);
}
