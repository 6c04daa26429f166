namespace Tributary.Architecture.Tests;

public sealed class RoomRulesTests
{
    [Theory]
    [InlineData("Tributary.Postgres")]
    [InlineData("Tributary.Streaming")]
    [InlineData("Tributary.Branching")]
    [InlineData("Tributary.Gateway")]
    [InlineData("Tributary.Server")]
    public void A_room_uses_only_its_project_root_and_itself(string project) =>
        Finding.None(Rooms.Breaches(Path.Combine(AppContext.BaseDirectory, $"{project}.dll"), project));

    [Fact]
    public void Every_way_to_use_another_room_is_seen() =>
        Assert.Equal(
            [
                "Kitchen/ByAttribute uses Cellar/LabelAttribute",
                "Kitchen/ByBaseType uses Cellar/Bottle",
                "Kitchen/ByConstraint`1 uses Cellar/Bottle",
                "Kitchen/ByField uses Cellar/Bottle",
                "Kitchen/ByGenericArgument uses Cellar/Bottle",
                "Kitchen/ByMethodBody uses Cellar/Shelf",
                "Kitchen/ByStateMachine uses Cellar/Shelf",
                "Kitchen/ByWiring uses Hosting/Wiring",
            ],
            Rooms.Breaches(typeof(RoomRulesTests).Assembly.Location, "Tributary.Architecture.Tests.Samples"));

    [Fact]
    public void Namespaces_follow_folders()
    {
        var wrong =
            from file in Repository.Sources("src")
            let expected = Path.GetDirectoryName(file)!["src/".Length..].Replace('/', '.')
            let declared = File.ReadLines(Repository.PathOf(file)).FirstOrDefault(line => line.StartsWith("namespace ", StringComparison.Ordinal))
            where declared is not null && declared != $"namespace {expected};"
            select $"{file} declares \"{declared}\" instead of {expected}";

        Finding.None(wrong);
    }
}
