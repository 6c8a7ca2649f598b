// SPDX-License-Identifier: BSD-3-Clause
// tracking.h -- what branches.c and courses.c share: the lines along the path and their groups.
#ifndef XN_MAP_TRACKING_H
#define XN_MAP_TRACKING_H

#include "map/parts.h"

#define XN_UNSEEN (-1) // label of a line without branch
#define XN_MOST_BRANCHES 96

// The lines of one branch in one bin.
typedef struct xn_group {
    int64_t n;
    double w, nu;        // sum of the weights; mean frequency, the result
    double value, along; // means of what sorting goes by, and of the place in the bin
    double spread;       // rms of value
} xn_group;

typedef struct xn_tracking {
    const xn_scene *scene;
    const xn_path *path;
    const xn_members *members;
    const xn_points *points;
    const xn_dispersion *d;
    int branches;
    double slope, spread; // typical slope of a branch, THz Angstrom; least rms of a branch within a bin, THz
    int *label;           // of each member: cluster, later branch
    double *value;        // of each member: frequency moved onto the line
    xn_group *group;      // (bin, branch)
} xn_tracking;

static inline bool xn_same_pixel(const xn_points *p, int64_t a, int64_t b)
{
    return p->run[a] == p->run[b] && p->pixel[2 * a] == p->pixel[2 * b] && p->pixel[2 * a + 1] == p->pixel[2 * b + 1];
}

// Means and rms of the labelled lines of a bin.
void xn_group_summarise(const xn_tracking *t, int64_t bin);
// From clusters to branches, from one end of the path to the other.
xani_status xn_courses_join(xn_ctx *ctx, const xn_tracking *t);
// Gives every line to the branch whose course is nearest.
xani_status xn_courses_give(xn_ctx *ctx, const xn_tracking *t);
// Takes away single lines that no other line of the branch is near to.
void xn_courses_prune(const xn_tracking *t);
// Renames branches behind each corner of the path so that lines on both sides of it agree.
xani_status xn_courses_align(xn_ctx *ctx, const xn_tracking *t);

#endif
