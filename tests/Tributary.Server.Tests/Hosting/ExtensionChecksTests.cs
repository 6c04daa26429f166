using Tributary.Contracts;
using Tributary.Testing;
using Tributary.Postgres.Programs;
using Tributary.Server.Diagnosis;

namespace Tributary.Server.Tests.Hosting;

public sealed class ExtensionChecksTests
{
    static readonly int Major = TestServers.Newest.Major;

    [Fact]
    public void What_is_installed_is_no_finding()
    {
        var checks = ExtensionChecks.Compare(Major, ["plpgsql", "dblink"], "pg_stat_statements, auto_explain").ToList();

        Assert.All(checks, check => Assert.Equal(CheckOutcome.Ok, check.Outcome));
    }

    [Theory]
    [InlineData("no_such_thing", "postgresql-{0}-no-such-thing")]
    [InlineData("vector", "postgresql-{0}-pgvector")]
    [InlineData("postgis_sfcgal", "postgresql-{0}-postgis-3")]
    [InlineData("pltclu", "postgresql-pltcl-{0}")]
    public void A_missing_extension_is_a_warning_that_names_its_package(string extension, string package)
    {
        Assert.SkipWhen(TestServers.Newest.OffersExtension(extension), $"{extension} is installed here.");
        var check = Assert.Single(ExtensionChecks.Compare(Major, ["plpgsql", extension], ""));

        Assert.Equal(CheckOutcome.Warning, check.Outcome);
        Assert.Contains(extension, check.Detail, StringComparison.Ordinal);
        Assert.Contains(string.Format(System.Globalization.CultureInfo.InvariantCulture, package, Major), check.Fix, StringComparison.Ordinal);
    }

    [Fact]
    public void A_missing_preloaded_library_is_a_warning()
    {
        var checks = ExtensionChecks.Compare(Major, ["plpgsql"], "pg_stat_statements, \"no_such_library\"").ToList();

        Assert.Single(checks, check => check.Outcome == CheckOutcome.Warning && check.Detail.Contains("no_such_library", StringComparison.Ordinal));
    }

    [Fact]
    public void Embedded_builds_are_read_beside_their_programs()
    {
        foreach (var installation in PostgresInstallation.FindAll())
        {
            Assert.True(installation.OffersExtension("plpgsql"), installation.ShareDirectory);
            Assert.True(installation.OffersLibrary("plpgsql"), installation.BinDirectory);
        }
    }
}
