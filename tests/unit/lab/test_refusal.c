/* Machines that refuse a lab: imagined ones by their facts, and this one with a facility taken
 * away. */
#include "tests.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lab/doctor.h"
#include "lab/lab.h"

static const struct root_facts plain = {
    .max_user_namespaces = 10000, .apparmor_restricts = -1, .userns_clone = -1};

static const char *cause_of(struct root_facts f, int error)
{
    return root_cause(&f, error);
}

TEST(each_cause_has_its_remedy)
{
    struct root_facts f = plain;
    f.apparmor_restricts = 1;
    ASSERT_CONTAINS(cause_of(f, -EPERM), "kernel.apparmor_restrict_unprivileged_userns=0");
    f = plain;
    f.userns_clone = 0;
    ASSERT_CONTAINS(cause_of(f, -EPERM), "kernel.unprivileged_userns_clone=1");
    f = plain;
    f.max_user_namespaces = 0;
    ASSERT_CONTAINS(cause_of(f, -EPERM), "sysctl user.max_user_namespaces=");
    ASSERT_CONTAINS(cause_of(plain, -ENOSPC), "raise user.max_user_namespaces");
    f = plain;
    f.seccomp = 2;
    ASSERT_CONTAINS(cause_of(f, -EPERM), "seccomp");
    f = plain;
    f.root = true;
    ASSERT_CONTAINS(cause_of(f, -EPERM), "CAP_SYS_ADMIN");
    ASSERT_CONTAINS(cause_of(plain, -EPERM), "sudo");
}

TEST(refusal_is_one_line_that_names_the_doctor)
{
    struct err err = {0};
    ASSERT_EQ(root_refusal(&err, -EPERM, "a user namespace was refused", &plain), -EPERM);
    ASSERT_CONTAINS(err.msg, "squall doctor");
    ASSERT_CONTAINS(err.msg, "remedy");
    ASSERT(!strchr(err.msg, '\n'));
}

TEST(report_without_a_link_is_the_loopback_tier)
{
    struct doctor_machine m = {.facts = plain};
    struct buf text = {0};
    ASSERT_OK(doctor_report(&text, &m));
    ASSERT_CONTAINS(buf_str(&text), "\na lab can run here: namespaces, TUN\n");
    ASSERT(!strstr(buf_str(&text), "\nnot "));
    buf_clear(&text);
    m.results[DOCTOR_TUN] = -EACCES;
    ASSERT_OK(doctor_report(&text, &m));
    ASSERT_CONTAINS(buf_str(&text), "no  links by TUN: Permission denied; remedy: ");
    ASSERT_CONTAINS(buf_str(&text), "a lab can run here: namespaces, AF_PACKET\n");
    ASSERT_CONTAINS(buf_str(&text),
                    "\nnot namespaces, TUN: needs links by TUN: Permission denied; remedy: sudo");
    ASSERT(!strstr(buf_str(&text), "inconclusive"));
    m.results[DOCTOR_PACKET] = -EPERM;
    buf_clear(&text);
    ASSERT_OK(doctor_report(&text, &m));
    ASSERT_CONTAINS(buf_str(&text), "a lab can run here: loopback\ninconclusive there: ");
    ASSERT_CONTAINS(buf_str(&text), "\nnot namespaces, AF_PACKET: needs links by veth and ");
    m.results[DOCTOR_LOOPBACK] = -EADDRNOTAVAIL;
    buf_clear(&text);
    ASSERT_EQ(doctor_report(&text, &m), -EPERM);
    ASSERT_CONTAINS(buf_str(&text), "no lab can run here\nnot namespaces, TUN: ");
    ASSERT_CONTAINS(buf_str(&text), "\nnot loopback: needs loopback addresses, marked");
    buf_done(&text);
}

TEST(report_gives_one_remedy_for_what_stands_on_a_refused_namespace)
{
    struct doctor_machine m = {.facts = plain};
    struct buf text = {0};
    for (int i = DOCTOR_USER_NS; i <= DOCTOR_PACKET; i++)
        m.results[i] = -EPERM;
    ASSERT_OK(doctor_report(&text, &m));
    ASSERT_CONTAINS(buf_str(&text), "no  user namespaces, or root: Operation not permitted; ");
    ASSERT_CONTAINS(buf_str(&text),
                    "\n--  a /proc of its own: not tried: needs user namespaces, or root\n");
    ASSERT_CONTAINS(buf_str(&text), "\n--  links by veth and AF_PACKET: not tried: ");
    ASSERT(strstr(buf_str(&text), "--privileged") == NULL && !strstr(buf_str(&text), "\nno  "));
    m.results[DOCTOR_USER_NS] = 0;
    buf_clear(&text);
    ASSERT_OK(doctor_report(&text, &m));
    ASSERT_CONTAINS(buf_str(&text), "\nno  PID, mount, network, IPC and UTS namespaces: ");
    ASSERT_CONTAINS(buf_str(&text), "\n--  links by TUN: not tried: needs PID, mount, ");
    buf_done(&text);
}

TEST(each_missing_facility_leads_to_its_tier)
{
    static const enum doctor_tier left[] = {
        [DOCTOR_USER_NS] = DOCTOR_TIER_LOOPBACK, [DOCTOR_NAMESPACES] = DOCTOR_TIER_LOOPBACK,
        [DOCTOR_PROC] = DOCTOR_TIER_LOOPBACK,    [DOCTOR_TMPFS] = DOCTOR_TIER_LOOPBACK,
        [DOCTOR_TUN] = DOCTOR_TIER_PACKET,       [DOCTOR_PACKET] = DOCTOR_TIER_TUN,
        [DOCTOR_LOOPBACK] = DOCTOR_TIER_TUN,     [DOCTOR_PIDFD] = DOCTOR_TIER_NONE,
        [DOCTOR_EPOLL] = DOCTOR_TIER_NONE,       [DOCTOR_CLOSE_RANGE] = DOCTOR_TIER_NONE,
        [DOCTOR_CLONE3] = DOCTOR_TIER_TUN};
    _Static_assert(sizeof left / sizeof *left == DOCTOR_PROBE_COUNT, "a tier for each");
    for (int i = 0; i < DOCTOR_PROBE_COUNT; i++) {
        struct doctor_machine m = {.facts = plain};
        struct buf text = {0};
        m.results[i] = -EPERM;
        ASSERT_EQ(doctor_tier(&m), left[i]);
        ASSERT_EQ(doctor_report(&text, &m), left[i] == DOCTOR_TIER_NONE ? -EPERM : 0);
        ASSERT_CONTAINS(buf_str(&text), i == 0 ? "no  " : "\nno  ");
        buf_done(&text);
    }
}

TEST(wishes_are_told_as_the_reason)
{
    struct doctor_machine m = {.facts = plain, .wish = LAB_TIER_LOOPBACK};
    struct buf text = {0};
    ASSERT_OK(doctor_report(&text, &m));
    ASSERT_CONTAINS(buf_str(&text), "a lab can run here: loopback\n");
    ASSERT_CONTAINS(buf_str(&text),
                    "\nnot namespaces: SQUALL_LAB_TIER=loopback; remedy: unset it\n");
    buf_clear(&text);
    m = (struct doctor_machine){.facts = plain, .no_tun = true};
    ASSERT_OK(doctor_report(&text, &m));
    ASSERT_CONTAINS(buf_str(&text), "here: namespaces, AF_PACKET\nnot namespaces, TUN: "
                                    "SQUALL_LAB_NO_TUN is set; remedy: unset it\n");
    buf_clear(&text);
    m = (struct doctor_machine){.facts = plain, .wish = LAB_TIER_NAMESPACES};
    m.results[DOCTOR_USER_NS] = -EPERM;
    ASSERT_EQ(doctor_report(&text, &m), -EPERM);
    ASSERT_CONTAINS(buf_str(&text),
                    "\nnot loopback: SQUALL_LAB_TIER=namespaces; remedy: unset it\n");
    buf_done(&text);
}

/* Runs fn in a child; what it returns, or -1. */
static int in_child(int (*fn)(void))
{
    int status;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0)
        _exit(fn());
    ASSERT_EQ(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static bool write_text(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    close(fd);
    return ok;
}

#define CANNOT 99

/* In a namespace where this user is 1000 and where no further user namespace is allowed. */
static int no_user_namespaces(void)
{
    char map[64];
    struct err err = {0};
    struct buf text = {0};
    snprintf(map, sizeof map, "1000 %u 1", geteuid());
    if (unshare(CLONE_NEWUSER) < 0 || !write_text("/proc/self/uid_map", map) ||
        !write_text("/proc/sys/user/max_user_namespaces", "0"))
        return CANNOT;
    if (lab_become_root(&err) != -EPERM || !strstr(err.msg, "user.max_user_namespaces") ||
        !strstr(err.msg, "squall doctor"))
        return 1;
    if (doctor_run(&text) < 0 || !strstr(buf_str(&text), "no  user namespaces"))
        return 2;
    return strstr(buf_str(&text), "a lab can run here: loopback\n") ? 0 : 3;
}

TEST(user_namespaces_taken_away)
{
    int r = in_child(no_user_namespaces);
    if (r == CANNOT)
        SKIP("user namespaces are refused here already");
    ASSERT_OK(r);
}

/* In a namespace that allows no network namespaces: lab_open itself meets the refusal. */
static int no_network_namespaces(void)
{
    char map[64], dir[] = "/tmp/test-refusal-XXXXXX";
    struct err err = {0};
    struct plan_service service = {.name = "a"};
    struct plan plan = {.services = &service, .services_n = 1};
    struct lab_config config = {.plan = &plan, .run_dir = mkdtemp(dir)};
    struct lab *lab;
    snprintf(map, sizeof map, "%u %u 1", geteuid(), geteuid());
    if (!config.run_dir || unshare(CLONE_NEWUSER) < 0 || !write_text("/proc/self/uid_map", map) ||
        !write_text("/proc/sys/user/max_net_namespaces", "0"))
        return CANNOT;
    int r = lab_open(&config, &lab, &err);
    rmdir(dir);
    return r == -EPERM && strstr(err.msg, "raise user.max_") && strstr(err.msg, "squall doctor")
               ? 0
               : 1;
}

TEST(lab_open_says_which_limit)
{
    int r = in_child(no_network_namespaces);
    if (r == CANNOT)
        SKIP("user namespaces are refused here already");
    ASSERT_OK(r);
}

/* unshare answers EPERM, as in a container with the usual filter. */
static int filtered(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_unshare, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog prog = {.len = 4, .filter = code};
    struct buf text = {0};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog) < 0)
        return CANNOT;
    int r = doctor_run(&text);
    return r == 0 && strstr(buf_str(&text), "seccomp filter") &&
                   strstr(buf_str(&text), "a lab can run here: loopback\n")
               ? 0
               : 1;
}

TEST(unshare_forbidden_by_seccomp)
{
    int r = in_child(filtered);
    if (r == CANNOT)
        SKIP("no seccomp filters here");
    ASSERT_OK(r);
}

/* /dev/net/tun is covered by a file that is no device. */
static int no_tun(void)
{
    struct err err = {0};
    struct buf text = {0};
    if (lab_become_root(&err) < 0 || unshare(CLONE_NEWNS) < 0 ||
        mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("/dev/null", "/dev/net/tun", NULL, MS_BIND, NULL) < 0)
        return CANNOT;
    if (doctor_run(&text) < 0 || !strstr(buf_str(&text), "no  links by TUN: "))
        return 1;
    return strstr(buf_str(&text), "a lab can run here: namespaces, AF_PACKET") ? 0 : 2;
}

TEST(tun_taken_away)
{
    int r = in_child(no_tun);
    if (r == CANNOT)
        SKIP("no mount namespaces, or no /dev/net/tun to cover");
    ASSERT_OK(r);
}
