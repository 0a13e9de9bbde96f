//===- HFWeights.cpp - Tensors of a Hugging Face folder -------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "qopt/Frontend/HF/HFFolder.h"
#include "qopt/Frontend/HF/SafeTensors.h"
#include "qopt/Frontend/MappedTensor.h"
#include "qopt/Frontend/ModelFiles.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/Path.h"
#include <nlohmann/json.hpp>
#include <set>

using namespace llvm;
using namespace qopt;
using nlohmann::json;

/// The index: tensor name -> file name.
static Expected<StringMap<std::string>> readIndex(StringRef text, StringRef what) {
  Expected<json> index = parseJson(text, what);
  if (!index)
    return index.takeError();
  auto map = index->is_object() ? index->find("weight_map") : index->end();
  if (map == index->end() || !map->is_object())
    return createStringError(what + ": expected an object 'weight_map'");
  StringMap<std::string> files;
  for (const auto &[name, file] : map->items()) {
    if (!file.is_string())
      return createStringError(what + ": tensor '" + printable(name) + "' has no file name");
    files[name] = file.get<std::string>();
  }
  return files;
}

static std::optional<FloatType> floatType(StringRef dtype) {
  return StringSwitch<std::optional<FloatType>>(dtype)
      .Case("F32", FloatType::f32)
      .Case("F16", FloatType::f16)
      .Case("BF16", FloatType::bf16)
      .Default(std::nullopt);
}

/// Adds the tensors of one file; with an index only those that it puts there.
static Error readShard(StringRef folder, StringRef file, StringMap<std::string> *index,
                       WeightStore &weights) {
  Expected<std::string> path = resolveInFolder(folder, file);
  if (!path)
    return path.takeError();
  SmallString<256> shown(folder);
  sys::path::append(shown, file);
  Expected<std::unique_ptr<MemoryBuffer>> buffer = openModelFile(*path);
  if (!buffer)
    return buffer.takeError();
  std::shared_ptr<MemoryBuffer> bytes = std::move(*buffer);
  Expected<std::vector<SafeTensor>> tensors = readSafeTensors(bytes->getBuffer(), shown);
  if (!tensors)
    return tensors.takeError();
  for (const SafeTensor &tensor : *tensors) {
    if (index) {
      auto entry = index->find(tensor.name);
      if (entry == index->end() || entry->second != file)
        continue;
      index->erase(entry);
    }
    if (StringRef(tensor.name).ends_with(".rotary_emb.inv_freq"))
      continue;
    std::optional<FloatType> type = floatType(tensor.dtype);
    if (!type)
      return createStringError(formatv("{0}: tensor '{1}' has dtype {2}, expected F32, F16 or BF16",
                                       StringRef(shown), printable(tensor.name), tensor.dtype));
    if (tensor.shape.empty() || is_contained(tensor.shape, 0))
      return createStringError(formatv("{0}: tensor '{1}' has no elements or no dimensions",
                                       StringRef(shown), printable(tensor.name)));
    weights.insert(
        std::make_unique<MappedTensor>(tensor.name, tensor.shape, *type, tensor.bytes.data()));
  }
  weights.own(std::move(bytes));
  return Error::success();
}

Error qopt::readHFWeights(StringRef folder, WeightStore &weights) {
  constexpr StringRef indexName = "model.safetensors.index.json", single = "model.safetensors";
  Expected<std::optional<std::string>> indexText = readOptionalFile(folder, indexName, 16 << 20);
  if (!indexText)
    return indexText.takeError();
  if (!*indexText) {
    SmallString<256> file(folder);
    sys::path::append(file, single);
    if (!sys::fs::exists(file))
      return createStringError(folder + ": expected " + single + " or " + indexName);
    return readShard(folder, single, nullptr, weights);
  }
  Expected<StringMap<std::string>> index =
      readIndex(**indexText, folder.str() + "/" + indexName.str());
  if (!index)
    return index.takeError();
  std::set<std::string> files; // in a fixed order
  for (const auto &entry : *index)
    files.insert(entry.second);
  for (const std::string &file : files)
    if (Error error = readShard(folder, file, &*index, weights))
      return error;
  if (index->empty())
    return Error::success();
  std::set<std::string> missing;
  for (const auto &entry : *index)
    missing.insert(entry.getKey().str());
  return createStringError(
      formatv("{0}/{1}: tensor '{2}' and {3} others are not in the files that it names", folder,
              indexName, printable(*missing.begin()), missing.size() - 1));
}
