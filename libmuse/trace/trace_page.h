/* SPDX-License-Identifier: Apache-2.0 */
/* The fixed parts of a trace's page. Users: trace_html.c. */
#ifndef LIBMUSE_TRACE_TRACE_PAGE_H
#define LIBMUSE_TRACE_TRACE_PAGE_H

extern const char muse_page_head[], muse_page_style[], muse_page_buttons[], muse_page_script[];

#endif
