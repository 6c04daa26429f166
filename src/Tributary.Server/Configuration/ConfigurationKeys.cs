namespace Tributary.Server.Configuration;

/// <summary>
/// Every key that the file may hold, a section each. The reader refuses any other; the published JSON Schema names the same ones, which a
/// test compares.
/// </summary>
public static class ConfigurationKeys
{
    /// <summary>By the path of a section; <c>[]</c> stands for each item of a list.</summary>
    public static readonly IReadOnlyDictionary<string, IReadOnlyList<string>> BySection = new Dictionary<string, IReadOnlyList<string>>
    {
        [""] = ["state", "source", "streams", "branching", "gateway", "api", "telemetry"],
        ["source"] = ["url", "url-file"],
        ["streams[]"] = ["name", "target"],
        ["streams[].target"] = ["postgres", "stdout"],
        ["streams[].target.postgres"] = ["url", "url-file"],
        ["streams[].target.stdout"] = ["checkpoint"],
        ["branching"] =
        [
            "following", "database", "postgres-version", "driver", "pool", "pool-size", "slot", "slot-bytes-max", "seed-interval", "seeds-kept", "spares", "wal-retention", "archive-bytes-max", "idle-timeout", "branches-max", "branches-per-owner-max",
            "branch-bytes-max", "restore-grace", "deleted-kept-max", "running-max", "starts-at-once-max", "starts-ahead-max", "start-timeout", "shared-buffers", "branch-memory-max", "branch-cpus-max", "branch-processes-max", "branch-log-max", "owner-role", "owner-rights",
        ],
        ["gateway"] = ["listen", "tls-certificate", "tls-key", "host-suffix", "connections-max"],
        ["api"] = ["socket", "listen"],
        ["telemetry"] = ["metrics-listen", "otlp-endpoint"],
    };

    /// <summary>The nearest of some words, when it is near enough to be meant.</summary>
    public static string? Nearest(string word, IEnumerable<string> candidates)
    {
        var best = candidates.MinBy(candidate => Distance(word, candidate));
        return best is not null && Distance(word, best) <= Math.Max(1, best.Length / 3) ? best : null;
    }

    // Levenshtein's distance, with one row kept.
    static int Distance(string left, string right)
    {
        var row = Enumerable.Range(0, right.Length + 1).ToArray();
        for (var i = 1; i <= left.Length; i++)
        {
            var diagonal = row[0];
            row[0] = i;
            for (var j = 1; j <= right.Length; j++)
            {
                var above = row[j];
                row[j] = Math.Min(Math.Min(above, row[j - 1]) + 1, diagonal + (char.ToLowerInvariant(left[i - 1]) == right[j - 1] ? 0 : 1));
                diagonal = above;
            }
        }

        return row[right.Length];
    }
}
