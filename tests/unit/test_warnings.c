/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of the log that come again: the same line of the same level is shown once, and counted at the end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tools/cli.h"

/* what the end says on stderr */
static void end_of(CliWarnings *w, char *said, size_t cap)
{
    FILE *to = tmpfile();
    const int before = dup(STDERR_FILENO);
    assert_non_null(to);
    assert_true(before >= 0 && dup2(fileno(to), STDERR_FILENO) >= 0);
    cli_warnings_end(w);
    fflush(stderr);
    assert_true(dup2(before, STDERR_FILENO) >= 0);
    close(before);
    rewind(to);
    said[fread(said, 1, cap - 1, to)] = 0;
    fclose(to);
}

static void whole_lines(void **state)
{
    static CliWarnings w;
    char a[1024], b[1024], said[4096];   /* as long as lines of the log get: a path may come first */
    (void)state;
    memset(a, 'p', sizeof a - 1);
    a[sizeof a - 1] = 0;
    memcpy(b, a, sizeof a);
    b[sizeof b - 2] = 'q';
    assert_true(cli_warning_is_new(&w, MUSE_LOG_WARN, a));
    assert_true(cli_warning_is_new(&w, MUSE_LOG_WARN, b));
    assert_false(cli_warning_is_new(&w, MUSE_LOG_WARN, b));
    end_of(&w, said, sizeof said);
    assert_non_null(strstr(said, b));
    assert_null(strstr(said, a));
}

static void levels(void **state)
{
    static CliWarnings w;
    char said[256];
    (void)state;
    assert_true(cli_warning_is_new(&w, MUSE_LOG_WARN, "one"));
    assert_true(cli_warning_is_new(&w, MUSE_LOG_INFO, "one"));
    assert_false(cli_warning_is_new(&w, MUSE_LOG_INFO, "one"));
    assert_false(cli_warning_is_new(&w, MUSE_LOG_WARN, "one"));
    assert_false(cli_warning_is_new(&w, MUSE_LOG_INFO, "one"));
    end_of(&w, said, sizeof said);
    assert_string_equal(said, "muse: warning, 1 time more: one\nmuse: 2 times more: one\n");
    assert_true(cli_warning_is_new(&w, MUSE_LOG_WARN, "one"));   /* forgotten */
    end_of(&w, said, sizeof said);
    assert_string_equal(said, "");
}

/* of many pictures: what differs in numbers is one line; names are not numbers, and alone each is a line of its own */
static void numbers(void **state)
{
    static const char first[] = "picture 1: 78 x 115 pixels are reduced to 48 x 72 (scale 0.615 x 0.626)", second[] = "picture 2: 7 x 9 pixels are reduced to 8 x 8 (scale 1 x 0.9)";
    CliWarnings few = { .few = true }, all = { 0 };
    char said[512];
    (void)state;
    assert_true(cli_warning_is_new(&all, MUSE_LOG_WARN, first));
    assert_true(cli_warning_is_new(&all, MUSE_LOG_WARN, second));
    assert_true(cli_warning_is_new(&few, MUSE_LOG_WARN, first));
    assert_false(cli_warning_is_new(&few, MUSE_LOG_WARN, second));
    assert_false(cli_warning_is_new(&few, MUSE_LOG_WARN, first));
    assert_true(cli_warning_is_new(&few, MUSE_LOG_WARN, "picture 1: 78 x 115 pixels are reduced"));
    assert_true(cli_warning_is_new(&few, MUSE_LOG_WARN, "picture 1: x 115 pixels are reduced"));
    assert_true(cli_warning_is_new(&few, MUSE_LOG_WARN, "file 1 is missing"));
    assert_true(cli_warning_is_new(&few, MUSE_LOG_WARN, "file 2 is missing"));
    end_of(&few, said, sizeof said);
    assert_string_equal(said, "muse: warning, 2 times more, with other numbers: picture 1: 78 x 115 pixels are reduced to 48 x 72 (scale 0.615 x 0.626)\n");
}

int main(void)
{
    static const struct CMUnitTest tests[] = { cmocka_unit_test(whole_lines), cmocka_unit_test(levels), cmocka_unit_test(numbers) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
