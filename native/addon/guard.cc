#include "guard.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "qemu_glue.h"

static int64_t NowNs() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * INT64_C(1'000'000'000) + now.tv_nsec;
}

void Guard::Start(ScriptCalls* calls, int event_loop_fd) {
  calls_ = calls;
  event_loop_fd_ = event_loop_fd;
  control_fd_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  // Signals are for Node's thread.
  sigset_t all, previous;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &previous);
  thread_ = std::thread([this] { Run(); });
  pthread_setname_np(thread_.native_handle(), "rebox_guard");
  pthread_sigmask(SIG_SETMASK, &previous, nullptr);
}

void Guard::Stop() {
  if (!thread_.joinable()) {
    return;
  }
  stopping_ = true;
  eventfd_write(control_fd_, 1);
  thread_.join();
  close(control_fd_);
}

void Guard::BeginSlice() {
  slice_began_ns_.store(NowNs(), std::memory_order_relaxed);
  slice_active_.store(true, std::memory_order_release);
  eventfd_write(control_fd_, 1);
}

void Guard::WatchCall(int64_t now_ns) {
  uint64_t sequence = calls_->sequence();
  if (sequence != watched_call_) {
    watched_call_ = sequence;
    watched_since_ns_ = now_ns;
    return;
  }
  int64_t limit_ns = callback_limit_ms_ * INT64_C(1'000'000);
  if ((sequence & 1) && limit_ns && now_ns - watched_since_ns_ >= limit_ns && calls_->can_cut_off()) {
    calls_->CutOff(sequence);
  }
}

void Guard::Run() {
  int64_t interrupted_slice_ns = 0;
  while (!stopping_) {
    bool active = slice_active_.load(std::memory_order_acquire);
    int64_t began_ns = slice_began_ns_.load(std::memory_order_relaxed);
    bool overdue = active && began_ns == interrupted_slice_ns;
    int64_t now_ns = NowNs();
    int64_t wait_ns = overdue ? kOverdueNs : began_ns + kSliceNs - now_ns;
    if (wait_ns < 0) {
      wait_ns = 0;
    }

    // An interrupted slice is not watched for events: the one that interrupted it would be seen again and again.
    pollfd fds[] = {{control_fd_, POLLIN, 0}, {event_loop_fd_, POLLIN, 0}};
    timespec timeout = {wait_ns / 1'000'000'000, wait_ns % 1'000'000'000};
    int ready = ppoll(fds, active && !overdue ? 2 : 1, active ? &timeout : nullptr, nullptr);
    if (ready > 0 && fds[0].revents) {
      eventfd_t count;
      eventfd_read(control_fd_, &count);
      continue;
    }
    if (!slice_active_.load(std::memory_order_acquire) || slice_began_ns_.load(std::memory_order_relaxed) != began_ns) {
      continue;
    }
    rebox_engine_interrupt();
    interrupted_slice_ns = began_ns;
    WatchCall(NowNs());
  }
}
