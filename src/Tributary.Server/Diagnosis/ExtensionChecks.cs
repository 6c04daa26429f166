using Tributary.Contracts;
using Tributary.Postgres.Programs;

namespace Tributary.Server.Diagnosis;

/// <summary>
/// Whether this machine has the extensions and libraries that production uses. A branch starts without them; what is missing fails when it is
/// used, so each is a warning.
/// </summary>
static class ExtensionChecks
{
    /// <summary>What stands after the version in the names of Debian's packages, where that is not the extension's name.</summary>
    static readonly Dictionary<string, string> DebianNames = new(StringComparer.Ordinal)
    {
        ["vector"] = "pgvector",
        ["pg_cron"] = "cron",
        ["pg_partman"] = "partman",
        ["pg_repack"] = "repack",
        ["pg_hint_plan"] = "pg-hint-plan",
        ["postgis"] = "postgis-3",
        ["postgis_raster"] = "postgis-3",
        ["postgis_topology"] = "postgis-3",
        ["postgis_tiger_geocoder"] = "postgis-3",
        ["postgis_sfcgal"] = "postgis-3",
        ["address_standardizer"] = "postgis-3",
        ["address_standardizer_data_us"] = "postgis-3",
    };

    /// <summary>Languages have the version at the end of their package's name.</summary>
    static readonly Dictionary<string, string> Languages = new(StringComparer.Ordinal)
    {
        ["plperl"] = "plperl",
        ["plperlu"] = "plperl",
        ["plpython3u"] = "plpython3",
        ["pltcl"] = "pltcl",
        ["pltclu"] = "pltcl",
    };

    /// <param name="extensions">Of the database that the URL names; others are not asked.</param>
    /// <param name="preloaded">The value of <c>shared_preload_libraries</c>.</param>
    /// <returns>Nothing when production's version is not installed at all, which another check says.</returns>
    public static IEnumerable<DoctorCheck> Compare(int major, IEnumerable<string> extensions, string preloaded)
    {
        if (PostgresInstallation.FindAll().FirstOrDefault(found => found.Major == major) is not { } installation)
            yield break;
        var missing = extensions.Where(extension => !installation.OffersExtension(extension)).Order(StringComparer.Ordinal).ToList();
        foreach (var extension in missing)
        {
            yield return new DoctorCheck(
                $"extension {extension}", CheckOutcome.Warning,
                $"production uses the extension {extension}, which PostgreSQL {major} here lacks; in a branch its functions, and the types and indexes made with it, fail with \"could not access file\"",
                $"apt-get install {Package(major, extension)}");
        }

        if (missing.Count == 0)
            yield return new DoctorCheck("extensions", CheckOutcome.Ok, "all that production uses are installed here");
        foreach (var library in preloaded.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries).Select(name => name.Trim('"')))
        {
            if (!installation.OffersLibrary(library) && !missing.Contains(library))
            {
                yield return new DoctorCheck(
                    $"library {library}", CheckOutcome.Warning,
                    $"production preloads {library}, which PostgreSQL {major} here lacks; branches preload nothing, but what calls into it fails in them",
                    $"apt-get install {Package(major, library)}");
            }
        }
    }

    // Debian's convention; contributed modules come with the server's own package there.
    static string Package(int major, string extension) => Languages.TryGetValue(extension, out var language)
        ? $"postgresql-{language}-{major}"
        : $"postgresql-{major}-{DebianNames.GetValueOrDefault(extension, extension.Replace('_', '-'))}";
}
