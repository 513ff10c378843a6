#include "stream.h"

#include "script_objects.h"

namespace {

template <typename Element>
Element* Column(const Napi::Object& columns, const char* name) {
  Napi::TypedArray array = columns.Get(name).As<Napi::TypedArray>();
  if (array.ElementLength() == 0) {
    return nullptr;
  }
  return reinterpret_cast<Element*>(static_cast<uint8_t*>(array.ArrayBuffer().Data()) + array.ByteOffset());
}

}  // namespace

std::unique_ptr<Stream> Stream::From(const Napi::Value& value, bool drop) {
  Napi::Object columns = value.As<Napi::Object>();
  auto stream = std::make_unique<Stream>();
  // The arrays' memory stays where it is for as long as they live.
  State().calls.Hold(stream->columns_, value);
  stream->drop_ = drop;
  stream->capacity_ = columns.Get("capacity").As<Napi::Number>().Uint32Value();
  // A machine with one vCPU has its number in the column already.
  stream->cpu_ = script_objects.cpus.size() > 1 ? Column<uint32_t>(columns, "cpu") : nullptr;
  stream->size_ = Column<uint32_t>(columns, "size");
  stream->pc_ = Column<uint64_t>(columns, "pc");
  stream->pgd_ = Column<uint64_t>(columns, "pgd");
  stream->address_ = Column<uint64_t>(columns, "address");
  stream->physical_ = Column<uint64_t>(columns, "physical");
  stream->data_ = Column<uint64_t>(columns, "data");
  stream->number_column_ = Column<uint64_t>(columns, "number");
  stream->state_ = Column<double>(columns, "state");
  stream->pcs_ = script_objects.pcs.data();
  stream->cpu_count_ = script_objects.pcs.size();
  stream->pgds_ = script_objects.pgds;
  return stream;
}

Stream::~Stream() { State().calls.Release(columns_); }

bool Stream::Publish() {
  if (length_ == 0) {
    return false;
  }
  state_[0] = static_cast<double>(length_);
  state_[1] = static_cast<double>(dropped_);
  return true;
}
