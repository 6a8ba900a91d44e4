#include "base/mem.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/rng.h"
#include "tests.h"

TEST(memory_comes_zeroed_and_strings_terminated)
{
    unsigned char *p = xmalloc(1000);
    for (int i = 0; i < 1000; i++)
        ASSERT_EQ(p[i], 0);
    free(p);
    char *s = xstrndup("storm", 3), *t = xasprintf("%s-%d", "p", 7), *u = xstrndup(NULL, 0);
    ASSERT_STREQ(s, "sto");
    ASSERT_STREQ(t, "p-7");
    ASSERT_STREQ(u, "");
    free(s);
    free(t);
    free(u);
    free(xcalloc(0, 8));
}

static int ends_by_signal(void (*fn)(void))
{
    int status;
    pid_t pid = fork();
    ASSERT(pid >= 0);
    if (pid == 0) {
        int null = open("/dev/null", O_WRONLY);
        dup2(null, STDERR_FILENO);
        signal(SIGABRT, SIG_DFL);
        fn();
        _exit(0);
    }
    ASSERT_EQ(waitpid(pid, &status, 0), pid);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static volatile size_t huge = SIZE_MAX / 2 + 2;

static void array_overflow(void)
{
    struct arena a;
    arena_init(&a);
    arena_array(&a, huge, 2);
}
static void realloc_overflow(void)
{
    free(xrealloc(NULL, huge, 2));
}
static void arena_too_big(void)
{
    struct arena a;
    arena_init(&a);
    arena_alloc(&a, huge);
}

TEST(sizes_that_overflow_abort)
{
    ASSERT_EQ(ends_by_signal(array_overflow), SIGABRT);
    ASSERT_EQ(ends_by_signal(realloc_overflow), SIGABRT);
    ASSERT_EQ(ends_by_signal(arena_too_big), SIGABRT);
}

TEST(arena_pieces_are_zeroed_aligned_and_do_not_overlap)
{
    enum { N = 2000 };
    static struct {
        unsigned char *p;
        size_t n;
    } piece[N];
    struct arena a;
    struct rng rng;
    rng_init(&rng, 1, "arena");
    arena_init(&a);
    for (int i = 0; i < N; i++) {
        size_t n = rng_below(&rng, i % 100 == 0 ? 40000 : 200);
        unsigned char *p = arena_alloc(&a, n);
        ASSERT_EQ((uintptr_t)p % _Alignof(max_align_t), 0);
        for (size_t k = 0; k < n; k++)
            ASSERT_EQ(p[k], 0);
        memset(p, i & 0xff, n);
        piece[i].p = p;
        piece[i].n = n;
    }
    for (int i = 0; i < N; i++)
        for (size_t k = 0; k < piece[i].n; k++)
            ASSERT_EQ(piece[i].p[k], i & 0xff);
    arena_done(&a);
    ASSERT_EQ(a.total_bytes, 0);
}

TEST(arena_strings)
{
    struct arena a;
    arena_init(&a);
    ASSERT_STREQ(arena_strdup(&a, "alert"), "alert");
    ASSERT_STREQ(arena_strndup(&a, "alert", 2), "al");
    ASSERT_STREQ(arena_strndup(&a, NULL, 0), "");
    ASSERT_STREQ(arena_printf(&a, "%05d %s", 42, "x"), "00042 x");
    arena_done(&a);
    arena_done(&a);
}

TEST(cleanup_closes_and_frees_locals)
{
    int ends[2];
    ASSERT_OK(pipe2(ends, O_CLOEXEC));
    {
        int fd CLEANUP(close_p) = ends[1];
        char *s CLEANUP(free_p) = xstrdup("freed here");
        int none CLEANUP(close_p) = -1;
        ASSERT(fd >= 0 && none < 0 && s);
    }
    ASSERT_EQ(fcntl(ends[1], F_GETFD), -1);
    close(ends[0]);
}

TEST(container_of_finds_the_owner)
{
    struct owner {
        long before;
        int member;
    } o = {0};
    int *m = &o.member;
    ASSERT(container_of(m, struct owner, member) == &o);
    ASSERT_EQ(ARRAY_SIZE(((int[7]){0})), 7);
}
