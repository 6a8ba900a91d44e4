/* The command line: words, values, lists, and what is said about mistakes. */
#include <unistd.h>

#include "base/mem.h"
#include "cmd/cmd.h"
#include "cmd/finish.h"
#include "cmd/options.h"
#include "tests.h"

struct parsed {
    bool quiet;
    const char *out;
    struct option_list sets, words;
    int status, result;
};

static void parse(struct parsed *p, int argc, char **argv)
{
    const struct option_row rows[] = {
        {"out", "FILE", "where", .text = &p->out},
        {"set", "PATH=VALUE", "what", .list = &p->sets},
        {"quiet", NULL, "less", .flag = &p->quiet},
    };
    p->result =
        options_parse(argc, argv, "ARGS", "About.", rows, ARRAY_SIZE(rows), &p->words, &p->status);
}

#define PARSE(P, ...)                                                                              \
    struct parsed P = {0};                                                                         \
    char *P##_argv[] = {(char[]){"run"}, __VA_ARGS__};                                             \
    parse(&P, ARRAY_SIZE(P##_argv), P##_argv)
#define W(TEXT) ((char[]){TEXT})

static void done(struct parsed *p)
{
    option_list_done(&p->sets);
    option_list_done(&p->words);
}

/* Runs the parser with standard error in a file; returns what it said. */
static const char *said(int argc, char **argv, int *ret_status)
{
    static char text[2048];
    FILE *file = tmpfile();
    int keep = dup(STDERR_FILENO);
    fflush(stderr);
    dup2(fileno(file), STDERR_FILENO);
    struct parsed p = {0};
    parse(&p, argc, argv);
    fflush(stderr);
    dup2(keep, STDERR_FILENO);
    close(keep);
    rewind(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    *ret_status = p.status;
    ASSERT_LT(p.result, 0);
    done(&p);
    return text;
}

#define SAYS(TEXT, ...)                                                                            \
    do {                                                                                           \
        char *argv_[] = {W("run"), __VA_ARGS__};                                                   \
        int status_ = 0;                                                                           \
        ASSERT_CONTAINS(said(ARRAY_SIZE(argv_), argv_, &status_), TEXT);                           \
        ASSERT_EQ(status_, EXIT_USAGE);                                                            \
    } while (0)

TEST(options_and_words_in_any_order)
{
    PARSE(p, W("a.yaml"), W("--quiet"), W("--out=x=y"), W("--set"), W("k=v"), W("b.yaml"),
          W("--set=l=w"));
    ASSERT_OK(p.result);
    ASSERT(p.quiet);
    ASSERT_STREQ(p.out, "x=y");
    ASSERT_EQ(p.sets.n, 2);
    ASSERT_STREQ(p.sets.v[0], "k=v");
    ASSERT_STREQ(p.sets.v[1], "l=w");
    ASSERT_EQ(p.words.n, 2);
    ASSERT_STREQ(p.words.v[1], "b.yaml");
    done(&p);
}

TEST(two_dashes_end_the_options)
{
    PARSE(p, W("--"), W("--quiet"), W("-"));
    ASSERT_OK(p.result);
    ASSERT(!p.quiet);
    ASSERT_EQ(p.words.n, 2);
    done(&p);
}

TEST(a_value_may_be_empty_or_look_like_an_option)
{
    PARSE(p, W("--out="), W("--set"), W("--quiet"));
    ASSERT_OK(p.result);
    ASSERT_STREQ(p.out, "");
    ASSERT_STREQ(p.sets.v[0], "--quiet");
    ASSERT(!p.quiet);
    done(&p);
}

TEST(mistakes_are_named)
{
    SAYS("did you mean --quiet?", W("--quite"));
    SAYS("unknown option --zzz", W("--zzz=1"));
    SAYS("takes no value", W("--quiet=yes"));
    SAYS("needs a value: --out FILE", W("--out"));
    SAYS("options are words", W("-q"));
}

TEST(report_targets_need_format_and_file)
{
    const char *good[] = {"json=a", "junit=b=c"}, *bad[] = {"json", "json=", "=x", "pdf=x"};
    ASSERT_EQ(finish_check_targets(&(struct option_list){good, 2}), 0);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        ASSERT_EQ(finish_check_targets(&(struct option_list){&bad[i], 1}), EXIT_USAGE);
}

TEST(statuses_of_verdicts)
{
    ASSERT_EQ(finish_exit_status(VERDICT_PASS), 0);
    ASSERT_EQ(finish_exit_status(VERDICT_FAIL), 1);
    ASSERT_EQ(finish_exit_status(VERDICT_INCONCLUSIVE), 5);
}
