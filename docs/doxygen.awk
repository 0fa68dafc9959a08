# SPDX-License-Identifier: Apache-2.0
# Shows doxygen a public header as the noun it is about: the comment of the @file opens a group of that name, which the header's
# end closes. Examples in that comment are set in as code. Lines keep their numbers. Called by doxygen (docs/Doxyfile).
/@file [a-z]+\.h/ && !seen {
    seen = inside = 1
    noun = $0
    sub(/.*@file /, "", noun)
    sub(/\.h.*/, "", noun)
    sub(/@file [a-z]+\.h/, "@defgroup " noun " " noun)
}
inside && /^ \*   [^ 0-9]/ { sub(/^ \*   /, " *       ") }
inside && /\*\// { sub(/\*\//, "@{ */"); inside = 0 }
{ print }
END { if (seen) print "/** @} */" }
