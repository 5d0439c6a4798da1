#include <errno.h>
#include <features.h>
#include <nl_types.h>

/* What libc++'s std::messages calls in place of catopen (recipe/runtimes.sh): as if there were no catalogue of that name.
 * Every program that has std::locale has that facet, and would hold the file system for it. */
hidden nl_catd __eremite_no_catalog(const char *name, int flags)
{
	errno = ENOENT;
	return (nl_catd)-1;
}
