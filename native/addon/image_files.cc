#include "image_files.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "memory_backing.h"

namespace {

// Bytes written between two looks at whether to stop.
constexpr size_t kChunk = 1 << 20;
// Less than this is not worth a hole: what file systems allocate at least.
constexpr size_t kBlock = 4096;
constexpr int kMostWorkers = 4;

// Shared with JavaScript: how far a job is, and whether it is to stop. Two numbers of a BigUint64Array.
struct Control {
  std::atomic<uint64_t>* words;

  void Advance(uint64_t bytes) const { words[0].fetch_add(bytes, std::memory_order_relaxed); }
  bool IsCancelled() const { return words[1].load(std::memory_order_relaxed) != 0; }
};
static_assert(sizeof(std::atomic<uint64_t>) == sizeof(uint64_t), "a word of a BigUint64Array");

struct Piece {
  const uint8_t* data;
  uint64_t size;
  uint64_t offset;
};

// The outcome of a job: 0, or the error's number and what to say beside it.
struct Outcome {
  int error = 0;
  std::string detail;
  uint64_t size = 0;
};

// The guest may write while this reads: what is copied and what was looked at may then differ, and nothing else.
bool IsZero(const uint8_t* data, size_t size) {
  return size == 0 || (data[0] == 0 && memcmp(data, data + 1, size - 1) == 0);
}

int WriteAll(int fd, const uint8_t* data, size_t size, uint64_t offset) {
  while (size > 0) {
    ssize_t done = pwrite(fd, data, size, static_cast<off_t>(offset));
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) return done < 0 ? errno : EIO;
    data += done;
    size -= static_cast<size_t>(done);
    offset += static_cast<uint64_t>(done);
  }
  return 0;
}

// Writes what is not zero; blocks of the file that are zero become holes.
int WriteSparse(int fd, const uint8_t* data, size_t size, uint64_t offset) {
  size_t start = 0;
  bool pending = false;
  for (size_t at = 0; at < size;) {
    size_t part = std::min<uint64_t>(size - at, kBlock - ((offset + at) & (kBlock - 1)));
    bool zero = IsZero(data + at, part);
    if (zero && pending) {
      int error = WriteAll(fd, data + start, at - start, offset + start);
      if (error) return error;
    }
    if (!zero && !pending) start = at;
    pending = !zero;
    at += part;
  }
  return pending ? WriteAll(fd, data + start, size - start, offset + start) : 0;
}

Outcome WritePlain(int fd, const std::vector<Piece>& pieces, uint64_t size, Control control) {
  if (ftruncate(fd, static_cast<off_t>(size)) != 0) return {errno, "", 0};
  MemoryBacking backing;
  for (const Piece& piece : pieces) {
    for (uint64_t done = 0; done < piece.size;) {
      if (control.IsCancelled()) return {ECANCELED, "", 0};
      MemoryBacking::Stretch part = backing.Look(piece.data + done, std::min<uint64_t>(kChunk, piece.size - done));
      int error = part.is_hole ? 0 : WriteSparse(fd, piece.data + done, part.size, piece.offset + done);
      if (error) return {error, "", 0};
      done += part.size;
      control.Advance(part.size);
    }
  }
  return {0, "", size};
}

// A stream of zstd frames on its way into a file.
class Compressor {
 public:
  Compressor(int fd, uint64_t size) : fd_(fd), context_(ZSTD_createCCtx()), output_(ZSTD_CStreamOutSize()) {
    int workers = static_cast<int>(std::min<unsigned>(kMostWorkers, std::thread::hardware_concurrency()));
    ZSTD_CCtx_setParameter(context_, ZSTD_c_compressionLevel, 1);
    // Damage is noticed when the image is opened.
    ZSTD_CCtx_setParameter(context_, ZSTD_c_checksumFlag, 1);
    // A library without threads refuses this, and compresses all the same.
    ZSTD_CCtx_setParameter(context_, ZSTD_c_nbWorkers, workers);
    ZSTD_CCtx_setPledgedSrcSize(context_, size);
  }
  ~Compressor() { ZSTD_freeCCtx(context_); }

  Outcome Add(const uint8_t* data, size_t size, bool is_last) {
    ZSTD_inBuffer input = {data, size, 0};
    for (;;) {
      ZSTD_outBuffer output = {output_.data(), output_.size(), 0};
      size_t left = ZSTD_compressStream2(context_, &output, &input, is_last ? ZSTD_e_end : ZSTD_e_continue);
      if (ZSTD_isError(left)) return {EIO, ZSTD_getErrorName(left), 0};
      int error = WriteAll(fd_, output_.data(), output.pos, written_);
      if (error) return {error, "", 0};
      written_ += output.pos;
      if (is_last ? left == 0 : input.pos == input.size) return {0, "", written_};
    }
  }

 private:
  int fd_;
  ZSTD_CCtx* context_;
  std::vector<uint8_t> output_;
  uint64_t written_ = 0;
};

Outcome WriteCompressed(int fd, const std::vector<Piece>& pieces, uint64_t size, Control control) {
  static const std::vector<uint8_t> zeros(kChunk);
  Compressor compressor(fd, size);
  MemoryBacking backing;
  uint64_t at = 0;
  auto add_zeros = [&](uint64_t end) -> Outcome {
    while (at < end) {
      if (control.IsCancelled()) return {ECANCELED, "", 0};
      size_t part = std::min<uint64_t>(kChunk, end - at);
      Outcome outcome = compressor.Add(zeros.data(), part, false);
      if (outcome.error) return outcome;
      at += part;
    }
    return {};
  };
  for (const Piece& piece : pieces) {
    Outcome outcome = add_zeros(piece.offset);
    if (outcome.error) return outcome;
    for (uint64_t done = 0; done < piece.size;) {
      if (control.IsCancelled()) return {ECANCELED, "", 0};
      MemoryBacking::Stretch part = backing.Look(piece.data + done, std::min<uint64_t>(kChunk, piece.size - done));
      outcome = compressor.Add(part.is_hole ? zeros.data() : piece.data + done, part.size, false);
      if (outcome.error) return outcome;
      at += part.size;
      done += part.size;
      control.Advance(part.size);
    }
  }
  Outcome outcome = add_zeros(size);
  return outcome.error ? outcome : compressor.Add(nullptr, 0, true);
}

Outcome Expand(int from, int to, uint64_t limit, Control control) {
  std::unique_ptr<ZSTD_DCtx, size_t (*)(ZSTD_DCtx*)> context(ZSTD_createDCtx(), ZSTD_freeDCtx);
  std::vector<uint8_t> in(kChunk), out(kChunk);
  uint64_t read_at = 0, size = 0;
  // What the library still wants: 0 between two frames, which is where a file may end.
  size_t wanted = 1;
  for (;;) {
    ssize_t got = pread(from, in.data(), in.size(), static_cast<off_t>(read_at));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return {errno, "", 0};
    if (got == 0) break;
    read_at += static_cast<uint64_t>(got);
    ZSTD_inBuffer input = {in.data(), static_cast<size_t>(got), 0};
    for (bool is_full = false; input.pos < input.size || is_full;) {
      if (control.IsCancelled()) return {ECANCELED, "", 0};
      ZSTD_outBuffer output = {out.data(), out.size(), 0};
      wanted = ZSTD_decompressStream(context.get(), &output, &input);
      if (ZSTD_isError(wanted)) return {EILSEQ, ZSTD_getErrorName(wanted), size};
      if (output.pos > limit - size) return {EFBIG, "", size};
      int error = WriteSparse(to, out.data(), output.pos, size);
      if (error) return {error, "", size};
      size += output.pos;
      // What did not fit is handed out by the next call, which may need no input for it.
      is_full = output.pos == output.size && wanted != 0;
    }
    control.words[0].store(read_at, std::memory_order_relaxed);
  }
  if (wanted != 0) return {EILSEQ, "the file ends within a frame", size};
  if (ftruncate(to, static_cast<off_t>(size)) != 0) return {errno, "", size};
  return {0, "", size};
}

// A job on a thread of Node's pool. Its promise always resolves, to {error, detail, size}.
struct Job {
  napi_async_work work = nullptr;
  napi_deferred deferred = nullptr;
  // What the job reads and writes must stay: the pieces and the control.
  std::vector<napi_ref> held;
  std::function<Outcome()> run;
  Outcome outcome;
};

void CompleteJob(napi_env env, napi_status, void* data) {
  std::unique_ptr<Job> job(static_cast<Job*>(data));
  Napi::Object result = Napi::Object::New(env);
  result.Set("error", Napi::Number::New(env, job->outcome.error));
  result.Set("detail", Napi::String::New(env, job->outcome.detail));
  result.Set("size", Napi::Number::New(env, static_cast<double>(job->outcome.size)));
  napi_resolve_deferred(env, job->deferred, result);
  for (napi_ref reference : job->held) napi_delete_reference(env, reference);
  napi_delete_async_work(env, job->work);
}

Napi::Value StartJob(Napi::Env env, std::vector<napi_value> held, std::function<Outcome()> run) {
  Job* job = new Job;
  job->run = std::move(run);
  for (napi_value value : held) {
    napi_ref reference = nullptr;
    napi_create_reference(env, value, 1, &reference);
    job->held.push_back(reference);
  }
  napi_value promise = nullptr;
  napi_create_promise(env, &job->deferred, &promise);
  napi_create_async_work(
      env, nullptr, Napi::String::New(env, "rebox image"),
      [](napi_env, void* data) { static_cast<Job*>(data)->outcome = static_cast<Job*>(data)->run(); }, CompleteJob, job,
      &job->work);
  napi_queue_async_work(env, job->work);
  return Napi::Value(env, promise);
}

void* BytesOf(const Napi::Value& value, size_t* size) {
  napi_typedarray_type type;
  void* data = nullptr;
  size_t length = 0;
  napi_get_typedarray_info(value.Env(), value, &type, &length, &data, nullptr, nullptr);
  *size = length;
  return data;
}

Control ControlOf(const Napi::Value& value) {
  size_t length = 0;
  return {static_cast<std::atomic<uint64_t>*>(BytesOf(value, &length))};
}

uint64_t NumberOf(const Napi::Value& value) { return static_cast<uint64_t>(value.As<Napi::Number>().DoubleValue()); }

// writeImage(fd, pieces: {bytes, offset}[], size, isCompressed, control): Promise<{error, detail, size}>
Napi::Value WriteImage(const Napi::CallbackInfo& info) {
  int fd = info[0].As<Napi::Number>().Int32Value();
  Napi::Array list = info[1].As<Napi::Array>();
  std::vector<Piece> pieces;
  for (uint32_t i = 0; i < list.Length(); i++) {
    Napi::Object entry = list.Get(i).As<Napi::Object>();
    size_t size = 0;
    const uint8_t* data = static_cast<uint8_t*>(BytesOf(entry.Get("bytes"), &size));
    pieces.push_back({data, size, NumberOf(entry.Get("offset"))});
  }
  uint64_t size = NumberOf(info[2]);
  bool compressed = info[3].As<Napi::Boolean>();
  Control control = ControlOf(info[4]);
  return StartJob(info.Env(), {info[1], info[4]}, [=] {
    return compressed ? WriteCompressed(fd, pieces, size, control) : WritePlain(fd, pieces, size, control);
  });
}

// expandImage(from, to, limit, control): Promise<{error, detail, size}>
Napi::Value ExpandImage(const Napi::CallbackInfo& info) {
  int from = info[0].As<Napi::Number>().Int32Value();
  int to = info[1].As<Napi::Number>().Int32Value();
  uint64_t limit = NumberOf(info[2]);
  Control control = ControlOf(info[3]);
  return StartJob(info.Env(), {info[3]}, [=] { return Expand(from, to, limit, control); });
}

// mapImage(fd, size, parts: {offset, size}[]): ArrayBuffer[] | number, the error's number
Napi::Value MapImage(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  uint64_t size = NumberOf(info[1]);
  // Private and writable: who writes through a view gets pages of his own, instead of a fatal signal.
  void* mapped = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE,
                      info[0].As<Napi::Number>().Int32Value(), 0);
  if (mapped == MAP_FAILED) return Napi::Number::New(env, errno);
  Napi::Array parts = info[2].As<Napi::Array>();
  Napi::Array buffers = Napi::Array::New(env, parts.Length());
  for (uint32_t i = 0; i < parts.Length(); i++) {
    Napi::Object part = parts.Get(i).As<Napi::Object>();
    uint64_t offset = NumberOf(part.Get("offset"));
    uint64_t length = NumberOf(part.Get("size"));
    if (offset > size || length > size - offset) return Napi::Number::New(env, EINVAL);
    napi_value buffer = nullptr;
    // Mapped as long as the process lives.
    napi_create_external_arraybuffer(
        env, static_cast<char*>(mapped) + offset, length, [](napi_env, void*, void*) {}, nullptr, &buffer);
    buffers.Set(i, buffer);
  }
  return buffers;
}

// findFileData(fd, from, end): [start, end] | undefined: the next part that is no hole
Napi::Value FindFileData(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  int fd = info[0].As<Napi::Number>().Int32Value();
  off_t from = info[1].As<Napi::Number>().Int64Value();
  off_t end = info[2].As<Napi::Number>().Int64Value();
  if (from >= end) return env.Undefined();
  off_t start = lseek(fd, from, SEEK_DATA);
  if (start < 0 && errno == ENXIO) return env.Undefined();
  // Where a file system knows no holes, all of it is data.
  if (start < 0) start = from;
  if (start >= end) return env.Undefined();
  off_t stop = lseek(fd, start, SEEK_HOLE);
  Napi::Array found = Napi::Array::New(env, 2);
  found.Set(0u, Napi::Number::New(env, static_cast<double>(start)));
  found.Set(1u, Napi::Number::New(env, static_cast<double>(stop < 0 || stop > end ? end : stop)));
  return found;
}

}  // namespace

Napi::Object InitImageFiles(Napi::Env env, Napi::Object exports) {
  exports.Set("writeImage", Napi::Function::New(env, WriteImage));
  exports.Set("expandImage", Napi::Function::New(env, ExpandImage));
  exports.Set("mapImage", Napi::Function::New(env, MapImage));
  exports.Set("findFileData", Napi::Function::New(env, FindFileData));
  return exports;
}
