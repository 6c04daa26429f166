using System.Diagnostics.CodeAnalysis;
using System.Text.RegularExpressions;
using Tributary.Branching.Compute;

namespace Tributary.Branching;

/// <summary>
/// Settings of Postgres that a person gives a branch, as <c>name=value</c>. What Tributary sets itself, what would break the branch's start
/// and what reaches for the network is refused with the reason. The sandbox does not depend on it: a superuser inside may ALTER SYSTEM.
/// </summary>
public static partial class BranchSettings
{
    /// <summary>Settings of one branch: more than any configuration that a person writes.</summary>
    public const int CountMax = 64;

    /// <summary>Characters of one value; the longest that make sense are lists of schemas.</summary>
    const int ValueCharsMax = 1024;

    const string Own = "Tributary sets it itself";

    const string Network = "a branch has no network, and connects to nothing by itself";

    const string Replay = "a branch has been recovered already and recovers from nothing else";

    const string Archive = "a branch archives nothing";

    /// <summary>Exact names, or beginnings that end in <c>_</c>, with the reason.</summary>
    static readonly (string Name, string Reason)[] Refused =
    [
        .. ComputeFolder.LockedNames.Select(name => (name, Own)),
        ("config_file", Own), ("data_directory", Own), ("cluster_name", Own),
        ("include", "one setting after another is given, not a file of them"), ("include_dir", "one setting after another is given, not a file of them"),
        ("include_if_exists", "one setting after another is given, not a file of them"),
        ("synchronous_commit", "the branch's durability says it"),
        ("shared_buffers", "branching.shared-buffers sizes all branches together"),
        ("unix_socket_", Own), ("bonjour", Network), ("bonjour_name", Network), ("ssl_", Network), ("krb_", Network),
        ("archive_", Archive), ("restore_command", Replay), ("recovery_", Replay), ("primary_", Replay), ("promote_trigger_file", Replay),
        ("hot_standby", Replay), ("hot_standby_feedback", Replay), ("sync_replication_slots", Replay),
        ("synchronous_standby_names", "a branch has no standby, so every commit would wait for ever"),
        ("local_preload_libraries", "a branch begins without libraries; LOAD one in a session"),
        ("session_preload_libraries", "a branch begins without libraries; LOAD one in a session"),
        ("jit_provider", "a library that is not there fails every session"),
        ("dynamic_library_path", "libraries are loaded from the installation alone"),
        ("fsync", "a crash without it can tear the branch; choose the durability ephemeral for speed"),
        ("full_page_writes", "a crash without it can tear the branch; choose the durability ephemeral for speed"),
        ("log_directory", "the log goes where 'tributary branch logs' reads it"), ("log_filename", "the log goes where 'tributary branch logs' reads it"),
        ("syslog_", "the log goes where 'tributary branch logs' reads it"),
        ("stats_temp_directory", Own), ("temp_tablespaces", "a branch has no tablespace but its data directory"),
        ("zero_damaged_pages", "it destroys data that could still be read"), ("ignore_checksum_failure", "it hides damage"),
        ("ignore_system_indexes", "it makes every session slow"), ("ignore_invalid_pages", "it hides damage"), ("allow_in_place_tablespaces", Own),
    ];

    /// <summary>Reads pairs of <c>name=value</c>. The answer's names are lower-case and each is there once.</summary>
    /// <param name="error">What is wrong with the first pair that is not taken, and what to do.</param>
    public static bool TryParse(
        IEnumerable<string> pairs, [NotNullWhen(true)] out IReadOnlyDictionary<string, string>? settings, [NotNullWhen(false)] out string? error)
    {
        var taken = new Dictionary<string, string>(StringComparer.Ordinal);
        (settings, error) = (null, null);
        foreach (var pair in pairs)
        {
            var equals = pair.IndexOf('=', StringComparison.Ordinal);
            if (equals <= 0)
                error = $"'{Shown(pair)}' is not a setting; write name=value, for example work_mem=64MB";
            else
                error = Problem(pair[..equals].Trim().ToLowerInvariant(), pair[(equals + 1)..].Trim(), taken);
            if (error is not null)
                return false;
        }

        settings = taken;
        return true;
    }

    /// <summary>A value as <c>postgresql.conf</c> takes any: in quotes, with quotes and backslashes in it doubled (GUC_scanstr in guc-file.l).</summary>
    internal static string Quote(string value) => $"'{value.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("'", "''", StringComparison.Ordinal)}'";

    static string? Problem(string name, string value, Dictionary<string, string> taken)
    {
        if (!SettingName().IsMatch(name))
            return $"'{Shown(name)}' is not the name of a setting; it has letters, digits and underscores, and one dot for an extension's";
        if (Refused.FirstOrDefault(refused => Covers(refused.Name, name)) is { Reason: { } reason })
            return $"{name} cannot be set for a branch: {reason}.";
        if (name == "wal_level" && value != "logical")
            return "wal_level cannot be lowered for a branch: its logical slots tell what was changed in it.";
        if (value.Length > ValueCharsMax || value.Any(char.IsControl))
            return $"The value of {name} has more than {ValueCharsMax} characters, or one that is not printable.";
        if (taken.Count >= CountMax)
            return $"A branch has at most {CountMax} settings.";
        return taken.TryAdd(name, value) ? null : $"{name} is given twice.";
    }

    static bool Covers(string refused, string name) => refused.EndsWith('_') ? name.StartsWith(refused, StringComparison.Ordinal) : name == refused;

    // What is not even a name may be anything, so little of it is repeated.
    static string Shown(string text) => text.Length > 40 ? text[..40] + "…" : text;

    [GeneratedRegex(@"^[a-z_][a-z0-9_$]{0,62}(\.[a-z_][a-z0-9_$]{0,62})?$")]
    private static partial Regex SettingName();
}
