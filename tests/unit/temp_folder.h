/* SPDX-License-Identifier: Apache-2.0 */
/* A folder of a test's own, removed with what is in it. Users: unit tests. */
#ifndef TESTS_UNIT_TEMP_FOLDER_H
#define TESTS_UNIT_TEMP_FOLDER_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char folder[64];

static inline int enter_folder(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/muse-test-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static inline int leave_folder(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command);
}

/* a path in it; good until four more are asked for */
static inline const char *in_folder(const char *name)
{
    static char paths[4][256];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

#endif
