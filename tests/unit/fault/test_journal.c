/* The journal and its undo actions: torn slots, reused pids, hostile folders, left-over journals.
 */
#include "fault/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "fault/ctx.h"
#include "fault/guard.h"
#include "fault/member.h"
#include "fault/relay.h"
#include "helpers/guard_faults.h"
#include "unit/tests.h"

struct place {
    char dir[64], state[96], path[160];
    struct journal j;
    struct fault_ctx ctx;
};

static void open_place(struct place *p)
{
    struct err err = {0};
    *p = (struct place){.dir = "/tmp/squall-test-journal-XXXXXX"};
    ASSERT(mkdtemp(p->dir));
    snprintf(p->state, sizeof p->state, "%s/state", p->dir);
    if (journal_create(&p->j, p->state, &err) < 0)
        TEST_FAIL("%s", err.msg);
    p->ctx = (struct fault_ctx){.journal = &p->j, .role = JOURNAL_MAIN, .lab_fd = -1, .fault = -1};
}

static void close_place(struct place *p)
{
    char command[160];
    if (p->j.header)
        journal_unlink(&p->j);
    journal_done(&p->j);
    snprintf(command, sizeof command, "rm -rf %s", p->dir);
    ASSERT_OK(system(command));
}

static int replay(struct place *p, struct buf *lines, int *failed)
{
    struct action_scope all = {.first = 0, .end = JOURNAL_SLOTS, .fault = ACTION_ANY_FAULT};
    return action_replay(&p->ctx, &all, lines, failed);
}

static pid_t sleeper(void)
{
    pid_t pid = fork();
    ASSERT(pid >= 0);
    if (pid == 0)
        for (;;)
            pause();
    return pid;
}

static void end(pid_t pid)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

static bool runs(pid_t pid)
{
    return waitpid(pid, NULL, WNOHANG) == 0;
}

TEST(folder_and_file_are_closed_to_others)
{
    struct place p;
    struct stat st;
    open_place(&p);
    ASSERT_OK(stat(p.state, &st));
    ASSERT_EQ(st.st_mode & 0777, 0700);
    ASSERT_OK(stat(p.j.path, &st));
    ASSERT_EQ(st.st_mode & 0777, 0600);
    ASSERT_EQ(st.st_size, JOURNAL_FILE_BYTES);
    close_place(&p);
}

TEST(a_state_folder_that_is_a_link_is_refused)
{
    struct place p;
    struct journal j;
    struct err err = {0};
    char link[160];
    open_place(&p);
    snprintf(link, sizeof link, "%s/link", p.dir);
    ASSERT_OK(symlink(p.state, link));
    ASSERT_EQ(journal_create(&j, link, &err), -EPERM);
    ASSERT_CONTAINS(err.msg, "is not a folder of this user");
    close_place(&p);
}

TEST(slots_go_from_free_to_intent_to_active_to_free)
{
    struct place p;
    struct journal_entry e = {.kind = ACTION_LAB_HOLD, .fault = 3, .value = 7}, got;
    open_place(&p);
    int slot = journal_intent(&p.j, JOURNAL_AGENT, &e);
    ASSERT_EQ(slot, JOURNAL_MAIN_SLOTS);
    ASSERT_EQ(journal_read(&p.j, slot, &got), JOURNAL_INTENT);
    ASSERT_EQ(got.value, 7);
    journal_active(&p.j, slot);
    ASSERT_EQ(journal_read(&p.j, slot, &got), JOURNAL_ACTIVE);
    ASSERT_EQ(journal_used(&p.j), 1);
    journal_free(&p.j, slot);
    ASSERT_EQ(journal_read(&p.j, slot, &got), JOURNAL_FREE);
    close_place(&p);
}

TEST(writers_do_not_share_slots_and_a_full_journal_says_so)
{
    struct place p;
    struct journal_entry e = {.kind = ACTION_LAB_HOLD};
    open_place(&p);
    for (int i = 0; i < JOURNAL_MAIN_SLOTS; i++)
        ASSERT_EQ(journal_intent(&p.j, JOURNAL_MAIN, &e), i);
    ASSERT_EQ(journal_intent(&p.j, JOURNAL_MAIN, &e), -ENOSPC);
    ASSERT_EQ(journal_intent(&p.j, JOURNAL_AGENT, &e), JOURNAL_MAIN_SLOTS);
    close_place(&p);
}

TEST(a_torn_intent_does_nothing)
{
    struct place p;
    struct journal_entry e;
    pid_t pid = sleeper();
    int failed;
    open_place(&p);
    ASSERT_OK(action_process_entry(&e, ACTION_PROCESS, pid));
    int slot = journal_intent(&p.j, JOURNAL_AGENT, &e);
    p.j.slots[slot].entry.value ^= 1;
    ASSERT_EQ(journal_read(&p.j, slot, &e), -EBADMSG);
    ASSERT_EQ(replay(&p, NULL, &failed), 0);
    ASSERT_EQ(failed, 0);
    ASSERT_EQ(journal_used(&p.j), 0);
    ASSERT(runs(pid));
    end(pid);
    close_place(&p);
}

TEST(a_damaged_active_slot_is_told_and_kept)
{
    struct place p;
    struct journal_entry e;
    struct buf lines = {0};
    pid_t pid = sleeper();
    int failed;
    open_place(&p);
    ASSERT_OK(action_process_entry(&e, ACTION_PROCESS, pid));
    int slot = journal_intent(&p.j, JOURNAL_AGENT, &e);
    journal_active(&p.j, slot);
    p.j.slots[slot].entry.pid ^= 1;
    ASSERT_EQ(journal_read(&p.j, slot, &e), -EUCLEAN);
    ASSERT_EQ(replay(&p, &lines, &failed), 0);
    ASSERT_EQ(failed, 1);
    ASSERT_CONTAINS(buf_str(&lines), "damaged journal entry");
    ASSERT(runs(pid));
    buf_done(&lines);
    end(pid);
    close_place(&p);
}

TEST(a_process_is_killed_only_if_it_is_the_one)
{
    struct place p;
    struct journal_entry e;
    pid_t pid = sleeper();
    int failed;
    open_place(&p);
    ASSERT_OK(action_process_entry(&e, ACTION_PROCESS, pid));
    e.start++; /* the pid was reused: another start time */
    journal_intent(&p.j, JOURNAL_MAIN, &e);
    ASSERT_EQ(replay(&p, NULL, &failed), 1);
    ASSERT(runs(pid));
    e.start--;
    journal_intent(&p.j, JOURNAL_MAIN, &e);
    ASSERT_EQ(replay(&p, NULL, &failed), 1);
    ASSERT_EQ(failed, 0);
    ASSERT_EQ(waitpid(pid, NULL, WNOHANG), pid);
    close_place(&p);
}

TEST(a_stopped_process_is_continued_only_if_it_is_the_one)
{
    struct place p;
    struct journal_entry e;
    pid_t pid = sleeper();
    int failed;
    open_place(&p);
    kill(pid, SIGSTOP);
    waitpid(pid, NULL, WUNTRACED);
    ASSERT_OK(action_process_entry(&e, ACTION_STOPPED, pid));
    e.start ^= 1;
    journal_intent(&p.j, JOURNAL_AGENT, &e);
    ASSERT_EQ(replay(&p, NULL, &failed), 1);
    ASSERT_EQ(procid_state(pid), 'T');
    e.start ^= 1;
    journal_intent(&p.j, JOURNAL_AGENT, &e);
    ASSERT_EQ(replay(&p, NULL, &failed), 1);
    ASSERT(procid_state(pid) != 'T');
    ASSERT_EQ(replay(&p, NULL, &failed), 0);
    end(pid);
    close_place(&p);
}

TEST(a_soft_limit_gets_its_old_value_and_the_hard_one_stays)
{
    struct place p;
    struct journal_entry e;
    struct rlimit old, now;
    pid_t pid = sleeper();
    int failed;
    open_place(&p);
    ASSERT_OK(prlimit(pid, RLIMIT_NOFILE, NULL, &old));
    ASSERT_OK(action_process_entry(&e, ACTION_SOFT_LIMIT, pid));
    e.value = (int64_t)old.rlim_cur;
    e.value2 = RLIMIT_NOFILE;
    journal_intent(&p.j, JOURNAL_AGENT, &e);
    now = (struct rlimit){.rlim_cur = 16, .rlim_max = old.rlim_max};
    ASSERT_OK(prlimit(pid, RLIMIT_NOFILE, &now, NULL));
    ASSERT_EQ(replay(&p, NULL, &failed), 1);
    ASSERT_OK(prlimit(pid, RLIMIT_NOFILE, NULL, &now));
    ASSERT_EQ(now.rlim_cur, old.rlim_cur);
    ASSERT_EQ(now.rlim_max, old.rlim_max);
    end(pid);
    close_place(&p);
}

static void write_file(const char *dir, const char *name)
{
    char path[400];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    ASSERT(fd >= 0);
    close(fd);
}

static int note_dir(struct place *p, const char *path)
{
    struct journal_entry e;
    int r = action_dir_entry(&e, p->state, path);
    return r < 0 ? r : journal_intent(&p->j, JOURNAL_MAIN, &e);
}

TEST(a_folder_is_removed_and_links_in_it_lead_nowhere)
{
    struct place p;
    char victim[160], dir[160], link[240], sub[240];
    int failed;
    open_place(&p);
    snprintf(victim, sizeof victim, "%s/victim", p.dir);
    snprintf(dir, sizeof dir, "%s/squall-run", p.dir);
    ASSERT(note_dir(&p, dir) >= 0);
    ASSERT_OK(mkdir(victim, 0700));
    write_file(victim, "precious");
    ASSERT_OK(mkdir(dir, 0700));
    write_file(dir, "log");
    snprintf(link, sizeof link, "%s/link", dir);
    ASSERT_OK(symlink(victim, link));
    snprintf(sub, sizeof sub, "%s/closed", dir);
    ASSERT_OK(mkdir(sub, 0700));
    write_file(sub, "file");
    ASSERT_OK(chmod(sub, 0));
    ASSERT_EQ(replay(&p, NULL, &failed), 1);
    ASSERT(access(dir, F_OK) < 0);
    snprintf(link, sizeof link, "%s/precious", victim);
    ASSERT_OK(access(link, F_OK));
    close_place(&p);
}

TEST(a_folder_that_became_a_link_is_not_followed)
{
    struct place p;
    char victim[160], dir[160], file[240];
    struct buf lines = {0};
    int failed;
    open_place(&p);
    snprintf(victim, sizeof victim, "%s/victim", p.dir);
    snprintf(dir, sizeof dir, "%s/squall-run", p.dir);
    ASSERT(note_dir(&p, dir) >= 0);
    ASSERT_OK(mkdir(victim, 0700));
    write_file(victim, "precious");
    ASSERT_OK(symlink(victim, dir));
    ASSERT_EQ(replay(&p, &lines, &failed), 0);
    ASSERT_EQ(failed, 1);
    ASSERT_CONTAINS(buf_str(&lines), "could not be removed");
    snprintf(file, sizeof file, "%s/precious", victim);
    ASSERT_OK(access(file, F_OK));
    buf_done(&lines);
    close_place(&p);
}

TEST(a_folder_whose_parent_became_a_link_is_not_followed)
{
    struct place p;
    char victim[160], parent[160], dir[240], file[240];
    int failed;
    open_place(&p);
    snprintf(victim, sizeof victim, "%s/victim", p.dir);
    snprintf(parent, sizeof parent, "%s/parent", p.dir);
    snprintf(dir, sizeof dir, "%s/squall-run", parent);
    ASSERT_OK(mkdir(parent, 0700));
    ASSERT(note_dir(&p, dir) >= 0);
    ASSERT_OK(rmdir(parent));
    snprintf(file, sizeof file, "%s/squall-run", victim);
    ASSERT_OK(mkdir(victim, 0700));
    ASSERT_OK(mkdir(file, 0700));
    ASSERT_OK(symlink(victim, parent));
    replay(&p, NULL, &failed);
    ASSERT_EQ(failed, 1);
    ASSERT_OK(access(file, F_OK));
    close_place(&p);
}

TEST(a_very_deep_folder_is_removed_with_few_descriptors)
{
    struct place p;
    char dir[160];
    int failed;
    open_place(&p);
    snprintf(dir, sizeof dir, "%s/squall-run", p.dir);
    ASSERT(note_dir(&p, dir) >= 0);
    ASSERT_OK(mkdir(dir, 0700));
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (int i = 0; i < 3000; i++) {
        ASSERT_OK(mkdirat(fd, "d", 0700));
        int next = openat(fd, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        ASSERT(next >= 0);
        close(fd);
        fd = next;
    }
    close(fd);
    ASSERT_EQ(replay(&p, NULL, &failed), 1);
    ASSERT(access(dir, F_OK) < 0);
    close_place(&p);
}

TEST(folders_elsewhere_are_refused)
{
    static const char *const bad[] = {"/",
                                      "/tmp",
                                      "/etc",
                                      "/etc/squall",
                                      "relative",
                                      "/tmp/other",
                                      "/tmp/squall-x/..",
                                      "/tmp/squall-x/.",
                                      "/tmp/squall-x/",
                                      "/nowhere/squall-x",
                                      "/tmp/squall-no-such-parent/squall-x"};
    struct place p;
    char inside[200];
    open_place(&p);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        if (note_dir(&p, bad[i]) >= 0)
            TEST_FAIL("'%s' was taken", bad[i]);
    ASSERT(note_dir(&p, "/tmp/squall-x") >= 0);
    snprintf(inside, sizeof inside, "%s/any-name", p.state);
    ASSERT(note_dir(&p, inside) >= 0);
    close_place(&p);
}

TEST(an_entry_that_points_outside_its_prefix_is_not_undone)
{
    struct place p;
    struct journal_entry e;
    struct buf lines = {0};
    char dir[160];
    int failed;
    open_place(&p);
    snprintf(dir, sizeof dir, "%s/kept", p.dir);
    ASSERT_OK(mkdir(dir, 0700));
    e = (struct journal_entry){.kind = ACTION_DIR, .fault = -1, .value = 0};
    snprintf(e.path, sizeof e.path, "%s", dir);
    journal_intent(&p.j, JOURNAL_MAIN, &e);
    e.value = 4;
    snprintf(e.path, sizeof e.path, "/tmp/../%s", dir + 1);
    journal_intent(&p.j, JOURNAL_MAIN, &e);
    strcpy(e.path, "/tmp");
    journal_intent(&p.j, JOURNAL_MAIN, &e);
    ASSERT_EQ(replay(&p, &lines, &failed), 0);
    ASSERT_EQ(failed, 3);
    ASSERT_OK(access(dir, F_OK));
    buf_done(&lines);
    close_place(&p);
}

TEST(a_group_is_dissolved)
{
    struct place p;
    struct journal_entry e;
    char path[200], procs[240], pid_text[32];
    int version, failed;
    const char *root = guard_cgroup_root(&version);
    if (!root)
        SKIP("no place for groups here");
    open_place(&p);
    pid_t pid = sleeper();
    snprintf(path, sizeof path, "%s/squall-test-%d", root, (int)getpid());
    ASSERT_OK(action_cgroup_entry(&e, path, root, version));
    journal_intent(&p.j, JOURNAL_AGENT, &e);
    ASSERT_OK(mkdir(path, 0755));
    snprintf(procs, sizeof procs, "%s/cgroup.procs", path);
    snprintf(pid_text, sizeof pid_text, "%d", (int)pid);
    int fd = open(procs, O_WRONLY | O_CLOEXEC);
    ASSERT_EQ(write(fd, pid_text, strlen(pid_text)), strlen(pid_text));
    close(fd);
    ASSERT_EQ(replay(&p, NULL, &failed), 1);
    ASSERT(access(path, F_OK) < 0);
    ASSERT(runs(pid));
    end(pid);
    ASSERT_EQ(action_cgroup_entry(&e, "/sys/fs/cgroup/user", root, 2), -EINVAL);
    ASSERT_EQ(action_cgroup_entry(&e, "/tmp/squall-x", root, 2), -EINVAL);
    ASSERT_EQ(action_cgroup_entry(&e, "/sys/fs/cgroup/../../squall-x", root, 2), -EINVAL);
    close_place(&p);
}

TEST(processes_first_then_backwards_then_folders)
{
    struct place p;
    struct journal_entry e;
    struct buf lines = {0};
    pid_t pid = sleeper();
    int failed;
    open_place(&p);
    ASSERT(note_dir(&p, "/tmp/squall-not-there") >= 0);
    ASSERT_OK(action_process_entry(&e, ACTION_PROCESS, pid));
    journal_intent(&p.j, JOURNAL_MAIN, &e);
    e = (struct journal_entry){.kind = ACTION_LAB_HOLD, .path = "first"};
    journal_intent(&p.j, JOURNAL_AGENT, &e);
    e = (struct journal_entry){.kind = ACTION_LAB_HOLD, .path = "second"};
    journal_intent(&p.j, JOURNAL_AGENT, &e);
    ASSERT_EQ(replay(&p, &lines, &failed), 4);
    const char *text = buf_str(&lines);
    const char *killed = strstr(text, "killed"), *second = strstr(text, "second"),
               *first = strstr(text, "first"), *dir = strstr(text, "folder");
    ASSERT(killed && second && first && dir);
    ASSERT(killed < second && second < first && first < dir);
    buf_done(&lines);
    waitpid(pid, NULL, 0);
    close_place(&p);
}

TEST(a_hold_without_a_wire_is_over_only_when_the_lab_is)
{
    struct place p;
    struct journal_entry e, hold = {.kind = ACTION_LAB_HOLD, .path = "redis"};
    char text[ACTION_TEXT_BYTES];
    pid_t pid = sleeper();
    open_place(&p);
    ASSERT_OK(action_process_entry(&e, ACTION_PROCESS, pid));
    journal_intent(&p.j, JOURNAL_MAIN, &e);
    ASSERT_EQ(undo_lab_hold(&p.ctx, &hold, text, sizeof text), -EPIPE);
    end(pid);
    ASSERT_OK(undo_lab_hold(&p.ctx, &hold, text, sizeof text));
    close_place(&p);
}

TEST(a_file_that_is_no_journal_is_not_mapped)
{
    struct place p;
    struct journal j;
    open_place(&p);
    p.j.header->version++;
    /* in a child: closing another descriptor of it would drop our own lock */
    pid_t pid = fork();
    if (pid == 0) {
        int fd = open(p.j.path, O_RDWR | O_CLOEXEC);
        _exit(journal_attach(&j, fd) == -EBADMSG ? 0 : 1);
    }
    int status;
    waitpid(pid, &status, 0);
    ASSERT_EQ(status, 0);
    int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    ASSERT_EQ(journal_attach(&j, fd), -EBADMSG);
    close(fd);
    close_place(&p);
}

TEST(recover_leaves_a_living_family_alone)
{
    struct place p;
    struct buf text = {0};
    struct err err = {0};
    int ready[2], status;
    open_place(&p);
    ASSERT_OK(pipe(ready));
    /* its own journal it must not touch either */
    ASSERT_EQ(guard_recover(p.state, &text, &err), 0);
    ASSERT_EQ(journal_holder(&p.j, JOURNAL_AGENT), 0);
    pid_t pid = fork();
    if (pid == 0) {
        int n = guard_recover(p.state, &text, &err);
        _exit(n == 0 && strstr(buf_str(&text), "left alone") ? 0 : 1);
    }
    waitpid(pid, &status, 0);
    ASSERT_EQ(status, 0);
    ASSERT_OK(access(p.j.path, F_OK));
    close(ready[0]);
    close(ready[1]);
    buf_done(&text);
    close_place(&p);
}

/* A child that makes a journal with these entries and dies. */
static void leave_journal(struct place *p, const struct journal_entry *entries, size_t n,
                          const char *boot_id)
{
    pid_t pid = fork();
    ASSERT(pid >= 0);
    if (pid == 0) {
        struct err err = {0};
        struct journal j;
        if (journal_create(&j, p->state, &err) < 0)
            _exit(1);
        for (size_t i = 0; i < n; i++)
            journal_active(&j, journal_intent(&j, JOURNAL_AGENT, &entries[i]));
        if (boot_id)
            snprintf(j.header->boot_id, sizeof j.header->boot_id, "%s", boot_id);
        kill(getpid(), SIGKILL);
    }
    waitpid(pid, NULL, 0);
}

static int journals(const struct place *p)
{
    char command[200];
    snprintf(command, sizeof command, "ls -A %s | wc -l", p->state);
    FILE *f = popen(command, "r");
    int n = -1;
    ASSERT(f && fscanf(f, "%d", &n) == 1);
    pclose(f);
    return n;
}

TEST(recover_replays_what_a_dead_family_left)
{
    struct place p;
    struct journal_entry e;
    struct buf text = {0};
    struct err err = {0};
    pid_t pid = sleeper();
    open_place(&p);
    ASSERT_OK(action_process_entry(&e, ACTION_PROCESS, pid));
    leave_journal(&p, &e, 1, NULL);
    ASSERT_EQ(journals(&p), 2);
    ASSERT_EQ(guard_recover(p.state, &text, &err), 1);
    ASSERT_CONTAINS(buf_str(&text), "killed");
    ASSERT_EQ(waitpid(pid, NULL, WNOHANG), pid);
    ASSERT_EQ(journals(&p), 1);
    ASSERT_EQ(guard_recover(p.state, &text, &err), 0);
    buf_done(&text);
    close_place(&p);
}

TEST(recover_after_a_reboot_touches_no_process)
{
    struct place p;
    struct journal_entry e;
    struct buf text = {0};
    struct err err = {0};
    pid_t pid = sleeper();
    open_place(&p);
    ASSERT_OK(action_process_entry(&e, ACTION_PROCESS, pid));
    leave_journal(&p, &e, 1, "00000000-0000-0000-0000-000000000000");
    ASSERT_EQ(guard_recover(p.state, &text, &err), 0);
    ASSERT_CONTAINS(buf_str(&text), "before the last reboot");
    ASSERT(runs(pid));
    ASSERT_EQ(journals(&p), 1);
    end(pid);
    buf_done(&text);
    close_place(&p);
}

TEST(recover_says_what_it_could_not_undo_and_keeps_it)
{
    struct place p;
    struct journal_entry e = {.kind = ACTION_DIR, .path = "/etc/squall", .value = 0};
    struct buf text = {0};
    struct err err = {0};
    char junk[160];
    open_place(&p);
    leave_journal(&p, &e, 1, NULL);
    ASSERT_EQ(guard_recover(p.state, &text, &err), -EBUSY);
    ASSERT_CONTAINS(buf_str(&text), "(not undone)");
    ASSERT_EQ(journals(&p), 2);
    snprintf(junk, sizeof junk, "%s", p.state);
    write_file(junk, "journal-1-junk");
    buf_clear(&text);
    ASSERT_EQ(guard_recover(p.state, &text, &err), -EBUSY);
    ASSERT_CONTAINS(buf_str(&text), "journal-1-junk: not a journal of this version");
    buf_done(&text);
    close_place(&p);
}

TEST(recover_removes_a_half_made_journal_and_needs_no_folder)
{
    struct place p;
    struct buf text = {0};
    struct err err = {0};
    open_place(&p);
    write_file(p.state, ".journal-1-0");
    ASSERT_EQ(journals(&p), 2);
    ASSERT_EQ(guard_recover(p.state, &text, &err), 0);
    ASSERT_EQ(journals(&p), 1);
    ASSERT_EQ(guard_recover("/tmp/squall-no-such-folder", &text, &err), 0);
    buf_done(&text);
    close_place(&p);
}

TEST(a_beat_is_missed_only_by_the_watcher_who_was_there)
{
    struct place p;
    struct member_beat b = {0};
    const int64_t limit = MEMBER_BEAT_LIMIT_NS, tick = MEMBER_TICK_NS;
    int64_t now = 1000 * NS_PER_S;
    open_place(&p);
    ASSERT(!member_beat_missed(&b, &p.j, JOURNAL_MAIN, limit, now));
    for (int64_t t = tick; t <= limit; t += tick)
        ASSERT(!member_beat_missed(&b, &p.j, JOURNAL_MAIN, limit, now + t));
    ASSERT(member_beat_missed(&b, &p.j, JOURNAL_MAIN, limit, now + limit + tick));
    journal_beat(&p.j, JOURNAL_MAIN);
    ASSERT(!member_beat_missed(&b, &p.j, JOURNAL_MAIN, limit, now + limit + 2 * tick));
    /* the whole machine was paused for an hour: main gets its chance */
    now += 3600 * NS_PER_S;
    ASSERT(!member_beat_missed(&b, &p.j, JOURNAL_MAIN, limit, now));
    ASSERT(!member_beat_missed(&b, &p.j, JOURNAL_MAIN, limit, now + tick));
    close_place(&p);
}

TEST(records_of_a_wrong_size_or_range_are_dropped)
{
    static struct relay_command c, got;
    int pair[2];
    ASSERT_OK(relay_pair(pair));
    c = (struct relay_command){.kind = RELAY_APPLY, .request.targets_n = 2};
    strcpy(c.request.kind, "pod-kill");
    ASSERT_OK(relay_send_command(pair[0], &c));
    ASSERT_OK(relay_peek_command(pair[1], &got));
    ASSERT_OK(relay_receive_command(pair[1], &got));
    ASSERT_STREQ(got.request.kind, "pod-kill");
    ASSERT_EQ(relay_receive_command(pair[1], &got), -EAGAIN);
    c.request.targets_n = FAULT_TARGETS + 1;
    ASSERT_EQ(relay_send_command(pair[0], &c), -EINVAL);
    ASSERT_EQ(write(pair[0], &c, sizeof c), sizeof c);
    ASSERT_EQ(relay_receive_command(pair[1], &got), -EBADMSG);
    ASSERT_EQ(write(pair[0], &c, sizeof c - 1), sizeof c - 1);
    ASSERT_EQ(relay_receive_command(pair[1], &got), -EBADMSG);
    close(pair[0]);
    ASSERT_EQ(relay_receive_command(pair[1], &got), -EPIPE);
    close(pair[1]);
}

TEST(a_folder_for_temporary_files_may_be_a_link)
{
    struct place p;
    char link[160], real[160], dir[240];
    open_place(&p);
    snprintf(real, sizeof real, "%s/real", p.dir);
    snprintf(link, sizeof link, "%s/temp", p.dir);
    ASSERT_OK(mkdir(real, 0700));
    ASSERT_OK(symlink(real, link));
    ASSERT_OK(setenv("TMPDIR", link, 1));
    snprintf(dir, sizeof dir, "%s/squall-run", link);
    int slot = note_dir(&p, dir);
    unsetenv("TMPDIR");
    ASSERT(slot >= 0);
    ASSERT_CONTAINS(p.j.slots[slot].entry.path, "/real/squall-run");
    close_place(&p);
}

TEST(the_state_folder_has_its_defaults)
{
    char dir[256], expected[64];
    ASSERT_OK(journal_state_dir("/given", dir, sizeof dir));
    ASSERT_STREQ(dir, "/given");
    ASSERT_OK(setenv("XDG_RUNTIME_DIR", "/run/user/7", 1));
    ASSERT_OK(journal_state_dir(NULL, dir, sizeof dir));
    ASSERT_STREQ(dir, "/run/user/7/squall");
    ASSERT_EQ(journal_state_dir(NULL, dir, 8), -ENAMETOOLONG);
    ASSERT_OK(unsetenv("XDG_RUNTIME_DIR"));
    ASSERT_OK(journal_state_dir(NULL, dir, sizeof dir));
    snprintf(expected, sizeof expected, "/tmp/squall-%u", (unsigned)geteuid());
    ASSERT_STREQ(dir, geteuid() == 0 ? "/run/squall" : expected);
}

TEST(a_default_state_folder_goes_with_its_last_journal)
{
    char dir[] = "/tmp/journal-default-XXXXXX", state[64];
    struct journal a, b;
    struct err err = {0};
    struct stat st;
    ASSERT(mkdtemp(dir));
    snprintf(state, sizeof state, "%s/squall", dir);
    ASSERT_OK(setenv("XDG_RUNTIME_DIR", dir, 1));
    ASSERT_OK(journal_create(&a, NULL, &err));
    ASSERT_OK(journal_create(&b, NULL, &err));
    journal_unlink(&a);
    ASSERT_OK(stat(state, &st));
    journal_unlink(&b);
    ASSERT_EQ(stat(state, &st), -1);
    journal_done(&a);
    journal_done(&b);
    ASSERT_OK(rmdir(dir));
    ASSERT_OK(setenv("XDG_RUNTIME_DIR", "/nonexistent/place", 1));
    ASSERT_EQ(journal_create(&a, NULL, &err), -ENOENT);
    ASSERT_CONTAINS(err.msg, "/nonexistent/place");
    ASSERT_OK(unsetenv("XDG_RUNTIME_DIR"));
}
