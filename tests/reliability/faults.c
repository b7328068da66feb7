/* Faults at the boundary to the system, for tests: a library for LD_PRELOAD.

It counts every call that changes the file system below one folder, over all threads and processes, and makes one of
the calls fail, or the last. The file that ALCLI_FAULTS names holds `struct control`, which all processes share; a line
"call path" for each counted call is appended to that name with ".log". Calls that only read are not counted. The close
of a file that was open for writing is counted, since some file systems report errors there; so is the fsync of a
folder, under a name of its own. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { COUNT, KILL, KILL_IN_WRITE, TERMINATE, FAIL, FAIL_FOR_GOOD };

struct control {
    long at, taken;
    int action, error;
    char folder[PATH_MAX]; /* without symbolic links; empty: nothing is counted */
};

static struct control *control;
static char log_name[PATH_MAX];

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

__attribute__((constructor)) static void attach(void) {
    const char *name = getenv("ALCLI_FAULTS");
    int handle = name == NULL ? -1 : REAL(open)(name, O_RDWR | O_CLOEXEC);
    if (handle < 0)
        return;
    void *found = mmap(NULL, sizeof(struct control), PROT_READ | PROT_WRITE, MAP_SHARED, handle, 0);
    REAL(close)(handle);
    snprintf(log_name, sizeof log_name, "%s.log", name);
    control = found == MAP_FAILED ? NULL : found;
}

static void die(void) {
    kill(getpid(), SIGKILL);
    for (;;)
        pause();
}

/* Calls that need room on the disk, or report that there is none. */
static int needs_room(const char *call) {
    static const char *all[] = {"open", "write", "copy", "fsync", "fsync-dir", "close", "mkdir", "rename", "link", "truncate"};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (strcmp(call, all[i]) == 0)
            return 1;
    return 0;
}

/* Count a call on an absolute path. Returns 0 to go on, 1 where the call is to fail, with errno set. */
static int step(const char *call, const char *path) {
    if (control == NULL || control->folder[0] == 0)
        return 0;
    size_t length = strlen(control->folder);
    if (strncmp(path, control->folder, length) != 0 || (path[length] != '/' && path[length] != 0))
        return 0;
    int before = errno;
    long now = __atomic_fetch_add(&control->taken, 1, __ATOMIC_SEQ_CST);
    char line[PATH_MAX + 64];
    int n = snprintf(line, sizeof line, "%s %s\n", call, path[length] ? path + length + 1 : ".");
    int log = REAL(open)(log_name, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (log < 0 || REAL(write)(log, line, n) != n)
        abort();
    REAL(close)(log);
    errno = before;
    int is_now = now == control->at;
    switch (control->action) {
    case KILL:
        if (is_now)
            die();
        return 0;
    case KILL_IN_WRITE:
        if (is_now && strcmp(call, "write") != 0)
            die();
        return is_now; /* WRITTEN goes on from here */
    case TERMINATE:
        if (is_now)
            kill(getpid(), SIGTERM);
        return 0;
    case FAIL_FOR_GOOD:
        is_now |= now > control->at && needs_room(call);
        /* fall through */
    case FAIL:
        if (is_now)
            errno = control->error;
        return is_now;
    default:
        return 0;
    }
}

static int at_path(const char *call, int folder, const char *path) {
    char full[2 * PATH_MAX], name[64];
    ssize_t n = 0;
    if (path[0] == '/')
        return step(call, path);
    if (folder == AT_FDCWD)
        n = getcwd(full, PATH_MAX) == NULL ? 0 : strlen(full);
    else {
        snprintf(name, sizeof name, "/proc/self/fd/%d", folder);
        n = readlink(name, full, PATH_MAX - 1);
    }
    if (n <= 0)
        return 0;
    snprintf(full + n, PATH_MAX, "/%s", path);
    return step(call, full);
}

static int at_handle(const char *call, int handle) {
    char name[64], full[PATH_MAX];
    int before = errno;
    snprintf(name, sizeof name, "/proc/self/fd/%d", handle);
    ssize_t n = control == NULL ? -1 : readlink(name, full, sizeof full - 1);
    errno = before;
    if (n <= 0)
        return 0;
    full[n] = 0;
    return step(call, full);
}

/* A write that fails has written half. An interrupted one has done nothing. */
#define WRITTEN(handle, n, half, whole)                                                                                \
    if (at_handle("write", handle)) {                                                                                  \
        int error = errno;                                                                                             \
        if ((control->action == KILL_IN_WRITE || error != EINTR) && (n) > 1 && (half) < 0)                             \
            return -1;                                                                                                 \
        if (control->action == KILL_IN_WRITE)                                                                          \
            die();                                                                                                     \
        errno = error;                                                                                                 \
        return -1;                                                                                                     \
    }                                                                                                                  \
    return whole;

#define OR_FAIL(taken, call)                                                                                           \
    do {                                                                                                               \
        if (taken)                                                                                                     \
            return -1;                                                                                                 \
        return call;                                                                                                   \
    } while (0)

#define OPENS(flags) ((flags) & (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC))
#define MODE(flags, last)                                                                                              \
    mode_t mode = 0;                                                                                                   \
    if ((flags) & (O_CREAT | O_TMPFILE)) {                                                                           \
        va_list more;                                                                                                  \
        va_start(more, last);                                                                                          \
        mode = va_arg(more, mode_t);                                                                                   \
        va_end(more);                                                                                                  \
    }

int open(const char *path, int flags, ...) {
    MODE(flags, flags)
    OR_FAIL(OPENS(flags) && at_path("open", AT_FDCWD, path), REAL(open)(path, flags, mode));
}

int open64(const char *path, int flags, ...) {
    MODE(flags, flags)
    OR_FAIL(OPENS(flags) && at_path("open", AT_FDCWD, path), REAL(open64)(path, flags, mode));
}

int openat(int folder, const char *path, int flags, ...) {
    MODE(flags, flags)
    OR_FAIL(OPENS(flags) && at_path("open", folder, path), REAL(openat)(folder, path, flags, mode));
}

int openat64(int folder, const char *path, int flags, ...) {
    MODE(flags, flags)
    OR_FAIL(OPENS(flags) && at_path("open", folder, path), REAL(openat64)(folder, path, flags, mode));
}

int creat(const char *path, mode_t mode) { OR_FAIL(at_path("open", AT_FDCWD, path), REAL(creat)(path, mode)); }

int creat64(const char *path, mode_t mode) { OR_FAIL(at_path("open", AT_FDCWD, path), REAL(creat64)(path, mode)); }

static FILE *stream(const char *symbol, const char *path, const char *how) {
    if (strpbrk(how, "wa+") != NULL && at_path("open", AT_FDCWD, path))
        return NULL;
    return ((FILE * (*)(const char *, const char *)) dlsym(RTLD_NEXT, symbol))(path, how);
}

FILE *fopen(const char *path, const char *how) { return stream("fopen", path, how); }

FILE *fopen64(const char *path, const char *how) { return stream("fopen64", path, how); }

ssize_t write(int handle, const void *data, size_t n) {
    WRITTEN(handle, n, REAL(write)(handle, data, n / 2), REAL(write)(handle, data, n))
}

ssize_t pwrite(int handle, const void *data, size_t n, off_t at) {
    WRITTEN(handle, n, REAL(pwrite)(handle, data, n / 2, at), REAL(pwrite)(handle, data, n, at))
}

ssize_t pwrite64(int handle, const void *data, size_t n, off64_t at) {
    WRITTEN(handle, n, REAL(pwrite64)(handle, data, n / 2, at), REAL(pwrite64)(handle, data, n, at))
}

ssize_t writev(int handle, const struct iovec *parts, int n) {
    WRITTEN(handle, n, REAL(writev)(handle, parts, n / 2), REAL(writev)(handle, parts, n))
}

size_t fwrite(const void *data, size_t size, size_t n, FILE *file) {
    if (at_handle("copy", fileno(file)))
        return 0;
    return REAL(fwrite)(data, size, n, file);
}

ssize_t sendfile(int handle, int from, off_t *at, size_t n) {
    OR_FAIL(at_handle("copy", handle), REAL(sendfile)(handle, from, at, n));
}

ssize_t sendfile64(int handle, int from, off64_t *at, size_t n) {
    OR_FAIL(at_handle("copy", handle), REAL(sendfile64)(handle, from, at, n));
}

ssize_t copy_file_range(int from, off64_t *here, int handle, off64_t *there, size_t n, unsigned flags) {
    OR_FAIL(at_handle("copy", handle), REAL(copy_file_range)(from, here, handle, there, n, flags));
}

static int synced(int handle, int (*sync)(int)) {
    struct stat what;
    int is_folder = fstat(handle, &what) == 0 && S_ISDIR(what.st_mode);
    OR_FAIL(at_handle(is_folder ? "fsync-dir" : "fsync", handle), sync(handle));
}

int fsync(int handle) { return synced(handle, REAL(fsync)); }

int fdatasync(int handle) { return synced(handle, REAL(fdatasync)); }

int close(int handle) {
    int flags = control == NULL ? -1 : fcntl(handle, F_GETFL);
    if (flags >= 0 && (flags & O_ACCMODE) != O_RDONLY && at_handle("close", handle)) {
        int error = errno;
        REAL(close)(handle); /* the handle is gone even where the call reports an error */
        errno = error;
        return -1;
    }
    return REAL(close)(handle);
}

int rename(const char *from, const char *to) { OR_FAIL(at_path("rename", AT_FDCWD, to), REAL(rename)(from, to)); }

int renameat(int a, const char *from, int b, const char *to) {
    OR_FAIL(at_path("rename", b, to), REAL(renameat)(a, from, b, to));
}

int renameat2(int a, const char *from, int b, const char *to, unsigned flags) {
    OR_FAIL(at_path("rename", b, to), REAL(renameat2)(a, from, b, to, flags));
}

int link(const char *from, const char *to) { OR_FAIL(at_path("link", AT_FDCWD, to), REAL(link)(from, to)); }

int linkat(int a, const char *from, int b, const char *to, int flags) {
    OR_FAIL(at_path("link", b, to), REAL(linkat)(a, from, b, to, flags));
}

int symlink(const char *what, const char *path) {
    OR_FAIL(at_path("link", AT_FDCWD, path), REAL(symlink)(what, path));
}

int unlink(const char *path) { OR_FAIL(at_path("unlink", AT_FDCWD, path), REAL(unlink)(path)); }

int unlinkat(int folder, const char *path, int flags) {
    OR_FAIL(at_path(flags & AT_REMOVEDIR ? "rmdir" : "unlink", folder, path), REAL(unlinkat)(folder, path, flags));
}

int mkdir(const char *path, mode_t mode) { OR_FAIL(at_path("mkdir", AT_FDCWD, path), REAL(mkdir)(path, mode)); }

int mkdirat(int folder, const char *path, mode_t mode) {
    OR_FAIL(at_path("mkdir", folder, path), REAL(mkdirat)(folder, path, mode));
}

int rmdir(const char *path) { OR_FAIL(at_path("rmdir", AT_FDCWD, path), REAL(rmdir)(path)); }

int truncate(const char *path, off_t n) { OR_FAIL(at_path("truncate", AT_FDCWD, path), REAL(truncate)(path, n)); }

int ftruncate(int handle, off_t n) { OR_FAIL(at_handle("truncate", handle), REAL(ftruncate)(handle, n)); }

int ftruncate64(int handle, off64_t n) { OR_FAIL(at_handle("truncate", handle), REAL(ftruncate64)(handle, n)); }

int posix_fallocate(int handle, off_t at, off_t n) {
    return at_handle("truncate", handle) ? errno : REAL(posix_fallocate)(handle, at, n);
}

int posix_fallocate64(int handle, off64_t at, off64_t n) {
    return at_handle("truncate", handle) ? errno : REAL(posix_fallocate64)(handle, at, n);
}

int flock(int handle, int how) { OR_FAIL(at_handle("flock", handle), REAL(flock)(handle, how)); }

int chmod(const char *path, mode_t mode) { OR_FAIL(at_path("chmod", AT_FDCWD, path), REAL(chmod)(path, mode)); }

int fchmod(int handle, mode_t mode) { OR_FAIL(at_handle("chmod", handle), REAL(fchmod)(handle, mode)); }

int fchmodat(int folder, const char *path, mode_t mode, int flags) {
    OR_FAIL(at_path("chmod", folder, path), REAL(fchmodat)(folder, path, mode, flags));
}
