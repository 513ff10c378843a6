#include "listener_list.h"

#include <algorithm>

#include "addon_state.h"
#include "call_journal.h"
#include "guest_test.h"
#include "process_hook.h"
#include "process_journal.h"
#include "set_remover.h"
#include "subscriptions.h"
#include "triggers.h"

Listener::Listener() = default;
Listener::~Listener() = default;

Listener* ListenerList::Add(std::unique_ptr<Listener> listener) {
  list_.push_back(std::move(listener));
  return list_.back().get();
}

void ListenerList::Kill(Listener* listener) {
  listener->alive = false;
  dead_ = true;
  if (!delivering_) {
    Sweep();
  }
}

bool ListenerList::AnyTriggerOfAll() const {
  return std::any_of(list_.begin(), list_.end(), [](const auto& entry) {
    return entry->alive && entry->trigger && !entry->trigger->is_of_monitored();
  });
}

bool ListenerList::AnyAlive() const {
  return std::any_of(list_.begin(), list_.end(), [](const auto& entry) { return entry->alive; });
}

Listener* ListenerList::FindOnly() const {
  Listener* only = nullptr;
  for (const auto& entry : list_) {
    if (entry->alive && only) {
      return nullptr;
    }
    only = entry->alive ? entry.get() : only;
  }
  return only;
}

void ListenerList::Sweep() {
  size_t kept = 0;
  for (size_t i = 0; i < list_.size(); i++) {
    if (list_[i]->alive) {
      std::swap(list_[kept++], list_[i]);
    } else if (list_[i]->retired) {
      list_[i]->alive = true;
      subscriptions.retired.Add(std::move(list_[i]));
    } else {
      State().calls.Release(list_[i]->function);
    }
  }
  list_.resize(kept);
  dead_ = false;
}
