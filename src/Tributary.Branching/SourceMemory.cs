using Microsoft.Extensions.Logging;
using Tributary.Branching.Catalog;
using Tributary.Branching.Following;
using Tributary.Postgres.Programs;

namespace Tributary.Branching;

/// <summary>
/// What production told us, kept in the catalog: branches go on while production cannot be reached, and another production behind the same
/// URL is noticed.
/// </summary>
internal static class SourceMemory
{
    /// <summary>What stands for the system identifier of a main that follows nothing.</summary>
    const string Own = "none";

    const string FollowingFact = "following";

    /// <param name="mainDirectory">Where main's data is, or will be.</param>
    public static async Task<BranchResult<SourceFacts>> ReadAsync(
        BranchingOptions options, BranchCatalog catalog, string mainDirectory, ILogger logger, CancellationToken cancellationToken)
    {
        var remembered = Remembered(catalog);
        var before = remembered is null ? options.Following : FollowingOf(catalog, remembered);
        if (before != options.Following)
        {
            return new BranchError(
                BranchErrorKind.InvalidRequest,
                $"Main in {options.StateDirectory} is {Described(before)} and cannot become {Described(options.Following)}. Use another state folder.");
        }

        var made = options.Following == FollowingMode.Physical ? null : remembered?.Major ?? OwnMain.MajorOf(mainDirectory);
        RefuseOtherMajor(options, made);
        if (options.Following == FollowingMode.None)
            return Remember(catalog, options, new SourceFacts(Own, made ?? options.OwnMajor ?? PostgresInstallation.FindNewest().Major, OwnMain.Superuser, []));
        var read = await SourceFacts.ReadAsync(options, cancellationToken);
        if (read.Value is not { } facts)
        {
            if (remembered is null)
                return read;
            Log.SourceUnreachable(logger, read.Error!.Message);
            return remembered;
        }

        if (remembered is not null && remembered.SystemIdentifier != facts.SystemIdentifier)
        {
            return new BranchError(
                BranchErrorKind.SourceUnsuitable,
                $"The source {options.Production} is another cluster (system identifier {facts.SystemIdentifier}) than the one that main in {options.StateDirectory} follows ({remembered.SystemIdentifier}). Correct source.url, or use another state folder.");
        }

        // A main that is streamed into is no copy of production's cluster, but one that initdb has made here.
        return Remember(catalog, options, options.Following == FollowingMode.Physical
            ? facts
            : facts with { Major = made ?? options.MajorBeside(facts.Major, [.. PostgresInstallation.FindAll().Select(installation => installation.Major)]), Superuser = OwnMain.Superuser });
    }

    static string Described(FollowingMode following) => following switch
    {
        FollowingMode.None => "a Postgres of its own (branching.following: none)",
        FollowingMode.Logical => "a Postgres that production is streamed into (branching.following: logical)",
        _ => "a standby of production (branching.following: physical)",
    };

    // The version of a main that exists is its own; programs of another one cannot start it.
    static void RefuseOtherMajor(BranchingOptions options, int? made)
    {
        if (made is not { } existing || options.OwnMajor is not { } wanted || wanted == existing)
            return;
        throw new BranchingException(new BranchError(
            BranchErrorKind.InvalidRequest,
            $"Main in {options.StateDirectory} is PostgreSQL {existing}, and branching.postgres-version is {wanted}. Take that line out, or use another state folder."));
    }

    static SourceFacts Remember(BranchCatalog catalog, BranchingOptions options, SourceFacts facts)
    {
        catalog.SetFact(FollowingFact, $"{options.Following}");
        catalog.SetFact("system_identifier", facts.SystemIdentifier);
        catalog.SetFact("major", $"{facts.Major}");
        catalog.SetFact("superuser", facts.Superuser);
        catalog.SetFact("required_settings", string.Join('\n', facts.RequiredSettings));
        return facts;
    }

    // An older version's catalog does not say, and knew two kinds.
    static FollowingMode FollowingOf(BranchCatalog catalog, SourceFacts remembered) =>
        Enum.TryParse<FollowingMode>(catalog.Fact(FollowingFact), out var following) ? following
        : remembered.SystemIdentifier == Own ? FollowingMode.None
        : FollowingMode.Physical;

    static SourceFacts? Remembered(BranchCatalog catalog) => catalog.Fact("system_identifier") is { } identifier
        ? new SourceFacts(
            identifier, int.Parse(catalog.Fact("major")!, System.Globalization.CultureInfo.InvariantCulture), catalog.Fact("superuser")!,
            catalog.Fact("required_settings")!.Split('\n', StringSplitOptions.RemoveEmptyEntries))
        : null;
}
