/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the program's own JSON documents: yajl's tree, bounded. Users: plan.c, worlds_source.c, tools/train_run.c, tools/scaling.c. */
#ifndef TOOLS_NANO_DOC_H
#define TOOLS_NANO_DOC_H

#include <stddef.h>
#include <yajl/yajl_tree.h>

/* NULL and *code: MUSE_ERR_FORMAT: damaged; MUSE_ERR_LIMIT: over 8,192 objects and lists; MUSE_ERR_NOMEM. Free with yajl_tree_free(). */
yajl_val nano_doc_parse(const char *json, size_t size, int *code);
/* A member; NULL: there is none, or it is no object */
yajl_val nano_doc_get(yajl_val object, const char *key);
/* A key that is not in the list (ends with NULL), or stands in the object for the second time: *twice. NULL: there is none */
const char *nano_doc_odd_key(yajl_val object, const char *const *names, int *twice);
/* The path of a name that starts in a folder, unless it starts at /. 0; -1: no room */
int nano_doc_path(char *out, size_t cap, const char *folder, const char *name);

#endif
