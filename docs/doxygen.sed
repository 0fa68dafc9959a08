# SPDX-License-Identifier: Apache-2.0
# Shows doxygen a document without its links to other files of the source, which are not in the reference. Pictures stay, by name
# (IMAGE_PATH). Called by docs/Doxyfile.
s/!\[([^][]*)\]\(([^):]*\/)?([^):\/]*)\)/!\x01\1\x02(\3)/g
s/\[([^][]*)\]\([^):]*\)/\1/g
s/\x01/[/g
s/\x02/]/g
