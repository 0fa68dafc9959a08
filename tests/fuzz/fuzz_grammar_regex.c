/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a regular expression. */
#include "tests/fuzz/fuzz_grammar.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) { return fuzz_grammar(muse_grammar_open_regex, data, size, 0); }
