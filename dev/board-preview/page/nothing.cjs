// Stands in for the code editor, which no panel of the boards needs.
module.exports = {}
