//===- ModelFiles.cpp - Files of a model's folder -------------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "qopt/Frontend/ModelFiles.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/Path.h"
#include <nlohmann/json.hpp>
#include <set>

using namespace llvm;
using namespace qopt;
namespace fs = llvm::sys::fs;
namespace path = llvm::sys::path;
using nlohmann::json;

Expected<std::unique_ptr<MemoryBuffer>> qopt::openModelFile(StringRef file, uint64_t maxBytes) {
  fs::file_status status;
  if (std::error_code code = fs::status(file, status))
    return createStringError(formatv("{0}: {1}", file, StringRef(code.message()).lower()));
  if (!fs::is_regular_file(status))
    return createStringError(file + ": expected a regular file");
  if (status.getSize() > maxBytes)
    return createStringError(
        formatv("{0}: has {1} bytes, expected at most {2}", file, status.getSize(), maxBytes));
  auto buffer = MemoryBuffer::getFile(file, /*IsText=*/false, /*RequiresNullTerminator=*/false);
  if (!buffer)
    return createStringError(
        formatv("{0}: {1}", file, StringRef(buffer.getError().message()).lower()));
  return std::move(*buffer);
}

static bool isInside(StringRef file, StringRef folder) {
  return file.consume_front(folder) && !file.empty() &&
         (folder.ends_with("/") || path::is_separator(file.front()));
}

static Expected<std::string> resolveLinks(StringRef folder, StringRef name) {
  bool plain = !name.empty() && !path::is_absolute(name) && !name.contains('\0');
  for (auto part = path::begin(name), end = path::end(name); plain && part != end; ++part)
    plain = *part != "..";
  if (!plain)
    return createStringError(
        formatv("{0}: file name '{1}' must be relative and without '..'", folder, printable(name)));
  SmallString<256> joined(folder), root, real;
  path::append(joined, name);
  for (auto [from, to] : {std::pair(folder, &root), std::pair(StringRef(joined), &real)})
    if (std::error_code code = fs::real_path(from, *to))
      return createStringError(formatv("{0}: {1}", from, StringRef(code.message()).lower()));
  if (isInside(real, root))
    return std::string(real);
  // <cache>/models--org--name/snapshots/<revision>/file -> ../../blobs/<hash>
  StringRef snapshots = path::parent_path(root), model = path::parent_path(snapshots);
  if (path::filename(snapshots) == "snapshots" && path::filename(model).starts_with("models--")) {
    SmallString<256> blobs(model);
    path::append(blobs, "blobs");
    if (isInside(real, blobs))
      return std::string(real);
  }
  return createStringError(
      formatv("{0}: leads out of the model's folder, to {1}", StringRef(joined), StringRef(real)));
}

Expected<std::string> qopt::resolveInFolder(StringRef folder, StringRef name) {
  Expected<std::string> resolved = resolveLinks(folder, name);
  if (!resolved)
    return resolved;
  fs::file_status status;
  if (std::error_code code = fs::status(*resolved, status))
    return createStringError(formatv("{0}: {1}", *resolved, StringRef(code.message()).lower()));
  if (fs::is_regular_file(status) && status.getLinkCount() > 1)
    return createStringError(formatv("{0}/{1}: has {2} hard links, expected 1", folder,
                                     printable(name), status.getLinkCount()));
  return resolved;
}

Expected<std::optional<std::string>> qopt::readOptionalFile(StringRef folder, StringRef name,
                                                            uint64_t maxBytes) {
  SmallString<256> joined(folder);
  path::append(joined, name);
  if (!fs::exists(joined))
    return std::nullopt;
  Expected<std::string> resolved = resolveLinks(folder, name);
  if (!resolved)
    return resolved.takeError();
  Expected<std::unique_ptr<MemoryBuffer>> buffer = openModelFile(*resolved, maxBytes);
  if (!buffer)
    return buffer.takeError();
  return (*buffer)->getBuffer().str();
}

Expected<json> qopt::parseJson(StringRef text, StringRef what) {
  constexpr int maxDepth = 64;
  constexpr int64_t maxValues = 1 << 18; // each takes about 100 bytes
  int64_t numValues = 0;
  std::vector<std::set<std::string>> keys(maxDepth); // of the object at each depth
  auto watch = [&](int depth, json::parse_event_t event, json &value) {
    using Event = json::parse_event_t;
    bool begins = event == Event::object_start || event == Event::array_start;
    if ((begins || event == Event::value) && ++numValues > maxValues)
      throw std::runtime_error(formatv("more than {0} values", maxValues).str());
    if (begins) {
      if (depth >= maxDepth)
        throw std::runtime_error(formatv("nested deeper than {0}", maxDepth).str());
      keys[depth].clear();
    } else if (event == Event::key) {
      std::string key = value.get<std::string>();
      if (!keys[depth - 1].insert(key).second)
        throw std::runtime_error(
            formatv("key '{0}' stands twice in one object", printable(key)).str());
    }
    return true;
  };
  try {
    return json::parse(text.begin(), text.end(), watch);
  } catch (const std::exception &error) { // leaves the parser at once, and ends here
    return createStringError(what + ": " + printable(error.what()));
  }
}
