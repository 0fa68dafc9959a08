# SPDX-License-Identifier: Apache-2.0
# Shows doxygen a document without its links to other files of the source, which are not in the reference. Called by docs/Doxyfile.
s/\[([^][]*)\]\([^):]*\)/\1/g
