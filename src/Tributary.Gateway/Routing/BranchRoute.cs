using System.Diagnostics.CodeAnalysis;
using Tributary.Postgres.Wire;

namespace Tributary.Gateway.Routing;

/// <summary>
/// Which branch a client means, and what is left to tell its Postgres. The first of these that names one decides:
/// <list type="number">
/// <item>the parameter <c>options</c>: <c>branch=NAME</c>, <c>-c branch=NAME</c>, <c>-cbranch=NAME</c>, <c>--branch=NAME</c>, or any of them
/// with <c>tributary.branch</c>;</item>
/// <item>the TLS host name <c>NAME.suffix</c>, where the gateway's options give that suffix;</item>
/// <item>the user name <c>user.NAME</c>, parted at its last dot.</item>
/// </list>
/// The most explicit comes first, so that a user whose own name has a dot can still connect: only in the third case is the user name cut.
/// A database called like the uncut user is cut with it: libpq names the database after the user when it is given none.
/// </summary>
/// <param name="Branch">Has the form of a branch name; that there is such a branch is not known yet.</param>
/// <param name="User">The role in the branch.</param>
/// <param name="Parameters">The startup parameters for the branch's Postgres, user included, protocol options excluded.</param>
sealed record BranchRoute(string Branch, string User, IReadOnlyList<KeyValuePair<string, string>> Parameters)
{
    // A DNS label; the same rule by which branches are named.
    const int NameLengthMax = 63;

    const string Hint = "Name the branch in the connection's options (options='-c branch=NAME', in a URL ?options=branch%3DNAME) " +
        "or after the user name (user=USER.NAME).";

    public static bool TryFind(
        StartupMessage startup, string tlsHost, string? hostSuffix, [NotNullWhen(true)] out BranchRoute? route, [NotNullWhen(false)] out ErrorResponse? error)
    {
        route = null;
        error = null;
        var fullUser = startup.Find("user") ?? "";
        var user = fullUser;
        if (user.Length == 0)
        {
            error = ErrorResponse.Fatal("28000", "no PostgreSQL user name specified in startup packet");
            return false;
        }

        var (branch, restOfOptions) = OptionsParameter.TakeBranch(startup.Find("options") ?? "");
        branch ??= HostLabel(tlsHost, hostSuffix);
        if (branch is null && user.LastIndexOf('.') is > 0 and var dot)
            (user, branch) = (user[..dot], user[(dot + 1)..]);

        if (branch is null)
            error = ErrorResponse.Fatal("28000", "no branch is named", Hint);
        else if (!IsBranchName(branch))
            error = ErrorResponse.Fatal(
                "28000", $"\"{branch}\" is not a branch name", "A branch name has lower-case letters, digits and hyphens, and begins with a letter. " + Hint);
        else
            route = new BranchRoute(branch, user, Upstream(startup, fullUser, user, restOfOptions));
        return route is not null;
    }

    static string? HostLabel(string host, string? suffix)
    {
        if (suffix is null || host.Length <= suffix.Length + 1 || !host.EndsWith(suffix, StringComparison.OrdinalIgnoreCase) || host[^(suffix.Length + 1)] != '.')
            return null;
        return host[..^(suffix.Length + 1)].ToLowerInvariant();
    }

    static bool IsBranchName(string name) =>
        name.Length is > 0 and <= NameLengthMax && char.IsAsciiLetterLower(name[0]) && name[^1] != '-' &&
        name.All(c => char.IsAsciiLetterLower(c) || char.IsAsciiDigit(c) || c == '-');

    static List<KeyValuePair<string, string>> Upstream(StartupMessage startup, string fullUser, string user, string options)
    {
        var parameters = new List<KeyValuePair<string, string>> { new("user", user) };
        foreach (var (name, value) in startup.Parameters)
            if (name is not ("user" or "options") && !name.StartsWith("_pq_.", StringComparison.Ordinal))
                parameters.Add(new(name, name == "database" && value == fullUser ? user : value));
        if (options.Length > 0)
            parameters.Add(new("options", options));
        return parameters;
    }
}
