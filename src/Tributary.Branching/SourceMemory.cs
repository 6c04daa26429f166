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

    /// <param name="mainDirectory">Where main's data is, or will be.</param>
    public static async Task<BranchResult<SourceFacts>> ReadAsync(
        BranchingOptions options, BranchCatalog catalog, string mainDirectory, ILogger logger, CancellationToken cancellationToken)
    {
        var remembered = Remembered(catalog);
        if (remembered is not null && (remembered.SystemIdentifier == Own) != (options.Following == FollowingMode.None))
        {
            return new BranchError(
                BranchErrorKind.InvalidRequest,
                remembered.SystemIdentifier == Own
                    ? $"Main in {options.StateDirectory} is a Postgres of its own (branching.following: none) and cannot become a copy of production. Use another state folder."
                    : $"Main in {options.StateDirectory} is a copy of production (branching.following: physical) and cannot become a Postgres of its own. Use another state folder.");
        }

        if (options.Following == FollowingMode.None)
            return Remember(catalog, OfOwn(options, remembered?.Major ?? OwnMain.MajorOf(mainDirectory)));
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

        return Remember(catalog, facts);
    }

    // The version of a main that exists is its own; programs of another one cannot start it.
    static SourceFacts OfOwn(BranchingOptions options, int? existing)
    {
        if (existing is { } made && options.OwnMajor is { } wanted && wanted != made)
        {
            throw new BranchingException(new BranchError(
                BranchErrorKind.InvalidRequest,
                $"Main in {options.StateDirectory} is PostgreSQL {made}, and branching.postgres-version is {wanted}. Take that line out, or import its dump into another state folder."));
        }

        return new SourceFacts(Own, existing ?? options.OwnMajor ?? PostgresInstallation.FindNewest().Major, OwnMain.Superuser, []);
    }

    static SourceFacts Remember(BranchCatalog catalog, SourceFacts facts)
    {
        catalog.SetFact("system_identifier", facts.SystemIdentifier);
        catalog.SetFact("major", $"{facts.Major}");
        catalog.SetFact("superuser", facts.Superuser);
        catalog.SetFact("required_settings", string.Join('\n', facts.RequiredSettings));
        return facts;
    }

    static SourceFacts? Remembered(BranchCatalog catalog) => catalog.Fact("system_identifier") is { } identifier
        ? new SourceFacts(
            identifier, int.Parse(catalog.Fact("major")!, System.Globalization.CultureInfo.InvariantCulture), catalog.Fact("superuser")!,
            catalog.Fact("required_settings")!.Split('\n', StringSplitOptions.RemoveEmptyEntries))
        : null;
}
