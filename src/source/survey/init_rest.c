// SPDX-License-Identifier: BSD-3-Clause
// init_rest.c -- the keys that `xani init` leaves as they are: every one of a section, as comments with default and
// help.
//
// They come from the table of keys, so that a new key is in every written configuration too.  A key right below its
// section is a line that works when its # is taken away; deeper ones of a map that is written above are named by their
// path.  Keys that belong to another layout ("euxfel: ...") are left out.
#include <stdio.h>
#include <string.h>

#include "source/survey/init_parts.h"

// The help begins with names of layouts, "nxmx, nexus: ...", and this one is not among them.
static bool of_other_layout(const char *help, const char *layout)
{
    const char *colon = strchr(help, ':');
    bool named = false;
    for (const char *s = help; colon != NULL && s < colon;) {
        size_t n = strcspn(s, ",:");
        bool known = false;
        for (int i = 0; xn_input_layouts[i] != NULL; i++) {
            const char *name = xn_input_layouts[i]->ops->layout;
            if (strlen(name) != n || strncmp(name, s, n) != 0) continue;
            if (strcmp(name, layout) == 0) return false;
            known = true;
        }
        if (!known) return false; // a sentence
        named = true;
        s += n + strspn(s + n, ", ");
    }
    return named;
}

// "KEY:" stands in the text, at the beginning of a line (a comment's too) when `indent` is not negative.
static bool is_there(const char *text, const char *key, size_t n, int indent)
{
    char word[XN_KEY_LENGTH];
    snprintf(word, sizeof word, "%.*s:", (int)n, key);
    for (const char *s = strstr(text, word); s != NULL; s = strstr(s + 1, word)) {
        const char *line = s;
        if (s > text && strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_", s[-1]) != NULL) continue;
        if (indent < 0) return true;
        while (line > text && line[-1] != '\n') line--;
        if (s - line == indent || (s - line == indent + 2 && line[indent] == '#')) return true;
    }
    return false;
}

static void put_value(xn_text *t, const xn_setting *s)
{
    const bool several = s->type == XN_SET_NUMBERS || s->type == XN_SET_INTS;
    if (s->fallback != NULL) xn_text_add(t, several ? " [%s]" : " %s", s->fallback);
}

// {child: default, ...} of a map, [{...}] of a list's element; children of children are left to xani(5).
static void put_children(xn_text *t, const xn_setting *parent)
{
    const bool list = parent->type == XN_SET_LIST;
    const size_t n = strlen(parent->key) + (list ? 2 : 0);
    const char *gap = "";
    xn_text_add(t, list ? " [{" : " {");
    const xn_setting *s;
    for (int i = 0; (s = xn_config_setting(i)) != NULL; i++) {
        if (strncmp(s->key, parent->key, strlen(parent->key)) != 0 || strlen(s->key) <= n || s->key[n] != '.') continue;
        if (strpbrk(s->key + n + 1, ".[") != NULL || s->type == XN_SET_MAP || s->type == XN_SET_LIST) continue;
        xn_text_add(t, "%s%s:", gap, s->key + n + 1);
        put_value(t, s);
        gap = s->fallback != NULL ? ", " : " , "; // "key:," is no YAML
    }
    xn_text_add(t, list ? " }]" : " }");
}

static void put_line(xn_text *t, const char *section, const xn_setting *s)
{
    xn_text value = {0};
    char key[XN_KEY_LENGTH + 2];
    const bool children = s->type == XN_SET_MAP || s->type == XN_SET_LIST;
    if (children)
        put_children(&value, s);
    else
        put_value(&value, s);
    snprintf(key, sizeof key, "# %s", s->key + strlen(section) + 1);
    xn_text comment = {0};
    if (s->choices != NULL) xn_text_add(&comment, "%s; ", s->choices);
    xn_text_add(&comment, "%s", s->help);
    t->short_of_memory = t->short_of_memory || value.short_of_memory || comment.short_of_memory;
    if (!t->short_of_memory) xn_text_entry(t, 2, key, value.s != NULL ? value.s + strspn(value.s, " ") : "", comment.s);
    xn_free(value.s);
    xn_free(comment.s);
}

void xn_init_other_keys(xn_init_writer *w, const char *section, size_t from)
{
    xn_text *t = &w->text;
    const size_t n = strlen(section);
    const char *layout = w->first->layout->ops->layout;
    const xn_setting *s;
    if (t->short_of_memory) return;
    char *written = xn_strdup(t->s + from);
    if (written == NULL) {
        t->short_of_memory = true;
        return;
    }
    for (int deep = 0; deep < 2; deep++)
        for (int i = 0; (s = xn_config_setting(i)) != NULL; i++) {
            if (strncmp(s->key, section, n) != 0 || s->key[n] != '.' || of_other_layout(s->help, layout)) continue;
            const char *name = s->key + n + 1;
            const size_t top = strcspn(name, ".[");
            const bool there = is_there(written, name, top, 2);
            if (!deep && name[top] == '\0' && !there) put_line(t, section, s);
            if (!deep || name[top] == '\0' || !there) continue;
            const char *last = strrchr(name, '.') + 1;
            if (!is_there(written, last, strlen(last), -1)) xn_text_add(t, "  # %s: %s\n", name, s->help);
        }
    xn_free(written);
}
