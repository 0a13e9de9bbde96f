//===- JsonFields.h - Typed access to an object's keys -----------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_FRONTEND_HF_JSONFIELDS_H
#define QOPT_LIB_FRONTEND_HF_JSONFIELDS_H

#include "qopt/Frontend/ModelFiles.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/FormatVariadic.h"
#include <nlohmann/json.hpp>

namespace qopt {

/// The value as it may stand in an error.
inline std::string valueText(const nlohmann::json &value) {
  return printable(value.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace));
}

/// Appends a token, or each of a list of tokens; false for anything else.
bool readTokenIds(const nlohmann::json &value, std::vector<uint32_t> &ids);

/// Reads keys of one JSON object; a key that is absent or null leaves the
/// default. The first value of a wrong kind is kept as the error.
class JsonFields {
public:
  /// `object` must be an object and outlive this.
  explicit JsonFields(const nlohmann::json &object) : object(object) {}

  /// Null when the key is absent or its value is null.
  const nlohmann::json *find(llvm::StringRef key) const {
    auto entry = object.find(std::string_view(key));
    return entry == object.end() || entry->is_null() ? nullptr : &*entry;
  }

  int64_t integer(llvm::StringRef key, int64_t otherwise) {
    return get(key, otherwise, "an integer", [](const nlohmann::json &v) {
      return v.is_number_integer() && (!v.is_number_unsigned() || v.get<uint64_t>() <= INT64_MAX);
    });
  }
  double number(llvm::StringRef key, double otherwise) {
    return get(key, otherwise, "a number", [](const nlohmann::json &v) { return v.is_number(); });
  }
  bool boolean(llvm::StringRef key, bool otherwise) {
    return get(key, otherwise, "true or false",
               [](const nlohmann::json &v) { return v.is_boolean(); });
  }
  std::string string(llvm::StringRef key, std::string otherwise) {
    return get(key, std::move(otherwise), "a string",
               [](const nlohmann::json &v) { return v.is_string(); });
  }
  /// An integer that must be there.
  int64_t required(llvm::StringRef key) {
    if (!find(key))
      fail("key '" + key + "' is missing, expected an integer");
    return integer(key, 0);
  }

  void fail(const llvm::Twine &why) {
    if (problem.empty())
      problem = why.str();
  }
  llvm::Error takeError() {
    return problem.empty() ? llvm::Error::success() : llvm::createStringError(problem);
  }

private:
  template <typename T, typename Is>
  T get(llvm::StringRef key, T otherwise, llvm::StringRef kind, Is is) {
    const nlohmann::json *value = find(key);
    if (!value)
      return otherwise;
    if (!is(*value)) {
      fail(llvm::formatv("key '{0}' is {1}, expected {2}", key, valueText(*value), kind).str());
      return otherwise;
    }
    return value->get<T>();
  }

  const nlohmann::json &object;
  std::string problem;
};

} // namespace qopt

#endif // QOPT_LIB_FRONTEND_HF_JSONFIELDS_H
