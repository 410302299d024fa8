"""What a run leaves for people and programs: results files, the export, the table, pictures beside their answers."""
